"""A Dask cluster whose workers are jobs of SLURM: each job is submitted, logged and replaced."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

from distributed import Adaptive, Security, Status

from jne.batch.resources import Resources

_WORKER = 500_000_000
"""Bytes of a job beside its run: Dask's worker takes 250 MB, and a run may grow between two looks at it."""

_LOOK = 10
"""Seconds between two looks at jobs that have no worker yet."""

_IN_VAIN = 3
"""Jobs that may end one after another without a worker, until the batch does."""


def slurm_cluster(jobs: int, resources: Resources, options: dict, security: Security, folder: Path):
    """A cluster of up to ``jobs`` jobs, one of them submitted.

    Parameters
    ----------
    jobs : int
    resources : Resources
        Of one run; a job has one run at a time.
    options : dict
        Of ``dask_jobqueue.SLURMCluster``; they come before what is set here.
    security : Security
    folder : Path
        One that all machines have: certificates lie in it, and what SLURM prints of a job in its folder ``logs``.

    Returns
    -------
    dask_jobqueue.SLURMCluster
        Its ``in_vain`` says why it gave up, if it did.

    Raises
    ------
    ValueError
        If an option is not known, or SLURM refuses the job.
    OSError
        If there is no SLURM.
    """
    if refused := re.search(r"[\s\"'$&();<>\\`|*?\[%]", str(folder)):
        raise ValueError(f"out: {folder} has {refused[0]!r}, which a job's script does not take; give another --out")
    # One process with one run at a time per job; the job has the cores and the memory of a run.
    options = {"cores": 1, "job_cpu": resources.threads, "processes": 1, "python": sys.executable, **options}
    folder.mkdir(parents=True, exist_ok=True)
    options = {"security": security, "shared_temp_directory": str(folder), **options}
    options = {"log_directory": str(folder / "logs"), **options}
    options.setdefault("memory", f"{(resources.memory or 4 * 10**9) + _WORKER}B")
    directives = list(options.pop("job_extra_directives", ()))
    if resources.gpu and not any("gres" in directive or "gpus" in directive for directive in directives):
        directives.append("--gres=gpu:1")
    try:
        cluster = _jobqueue().SLURMCluster(job_extra_directives=directives, **options)
    except TypeError as error:
        raise ValueError(f"slurm: {error}; the options are those of dask_jobqueue.SLURMCluster") from error
    cluster.in_vain = ""
    _submit_first(cluster)
    # A job that reaches its wall time is replaced.
    cluster.adapt(Adaptive=_Replacing, minimum_jobs=1, maximum_jobs=jobs)
    return cluster


def _jobqueue():
    interrupted = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"scheduler: slurm needs dask-jobqueue, which is not here: {sys.executable} -m pip install dask-jobqueue"
        ) from missing
    # Its import makes of Ctrl-C an end that looks like success.
    if signal.getsignal(signal.SIGINT) is not interrupted:
        signal.signal(signal.SIGINT, interrupted)
    return dask_jobqueue


def _submit_first(cluster) -> None:
    """Submit one job: what SLURM has to say against it is said now, for it would be said against all of them."""

    async def submitted():
        await cluster

    cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(submitted)
    except (RuntimeError, OSError) as error:
        for job in cluster.workers.values():
            job.status = Status.failed  # a cluster that closes expects its jobs to be closed or failed
        cluster.close()
        if isinstance(error, OSError):
            told = f"scheduler: slurm needs the command sbatch, and here {error}; run this on a login node"
            raise OSError(told) from error
        told = "; ".join(re.findall(r"^sbatch: (?:error: )?(.+)$", str(error), re.MULTILINE)) or str(error)
        raise ValueError(f"slurm: SLURM refuses the job: {told}. Mend the grid file's slurm or resources") from error


class _Replacing(Adaptive):
    """Replaces jobs that end before their worker begins too, which Dask waits for."""

    _looked, _ended = 0.0, 0

    async def adapt(self) -> None:
        await self._give_up_waiting()
        if not self.cluster.in_vain:
            await super().adapt()

    async def _give_up_waiting(self) -> None:
        jobs = {name: job for name, job in self.cluster.workers.items() if job.job_id}
        for worker in self.cluster.scheduler_info["workers"].values():
            # Of several in one job each has the job's name and a number.
            if job := jobs.get(worker["name"]) or jobs.get(worker["name"].rpartition("-")[0]):
                job.had_worker, self._ended = True, 0
        waiting = {name: job for name, job in jobs.items() if not hasattr(job, "had_worker")}
        if not waiting or time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        try:
            queue = await next(iter(waiting.values()))._call(["squeue", "-h", "-u", str(os.getuid()), "-o", "%A"])
        except (RuntimeError, OSError):  # SLURM is busy; at the next look, then
            return
        for name, job in waiting.items():
            if job.job_id not in queue.split():
                job.status = Status.closed
                del self.cluster.workers[name]
                self._ended += 1
        if self._ended >= _IN_VAIN:
            self.cluster.in_vain = (
                f"slurm: {self._ended} jobs ended before their worker began, the last of them {job.job_id}. What they "
                f"printed is in {job.log_directory}"
            )
