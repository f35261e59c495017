"""Where the runs go: processes of this machine, a scheduler that is there already, or SLURM."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import psutil
from distributed import Client, Nanny, Scheduler, Security, SpecCluster

from jne._core import available_cores, visible_gpus
from jne.batch.main_guard import check_main_guard
from jne.batch.resources import Resources
from jne.batch.slurm import slurm_cluster

_CONFIG = {
    # A run that waits at a worker would share the blame when that worker dies.
    "distributed.scheduler.worker-saturation": 1.0,
    # Papermill and the loop of a worker share one interpreter; a busy one is no news.
    "distributed.admin.tick.limit": "1m",
    "distributed.worker.profile.enabled": False,
}

WAIT = 30
"""Seconds that a scheduler has to answer."""


@contextmanager
def connect(
    scheduler: str = "local",
    workers: int | None = None,
    resources: Resources | None = None,
    slurm: dict | None = None,
    folder: Path | None = None,
) -> Iterator[Client]:
    """A client of the cluster, for the length of the block; what was started for it is stopped after.

    Whoever reaches a scheduler can have it run functions. One that is started here takes only those of this client: all
    talk over TLS, with certificates that are made for the block. One at an address is as safe as it was started.

    Parameters
    ----------
    scheduler : str
        ``local``, ``slurm``, or an address such as ``tcp://host:8786``.
    workers : int, optional
        How many runs at a time. Local: by default what threads, memory and GPUs allow. SLURM: jobs, by default 1. With
        an address the workers are there already.
    resources : Resources, optional
        Of one run; a worker has one run at a time.
    slurm : dict, optional
        Options of ``dask_jobqueue.SLURMCluster``.
    folder : Path, optional
        For SLURM: one that all machines have, for the certificates of the workers and the logs of the jobs; by default
        the working folder.

    Raises
    ------
    ValueError
        If the scheduler is none of these, workers are asked of an address, SLURM refuses the job, or a script without
        a main guard calls.
    OSError
        If no scheduler answers at the address, or there is no SLURM.
    """
    resources, slurm = resources or Resources(), slurm or {}
    # What it has to say of a lost scheduler is said in the error.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    if "://" in scheduler:
        if workers:
            raise ValueError("workers: a scheduler at an address has its workers; start more with `dask worker`")
        with _client(scheduler) as client:
            yield client
        return
    if scheduler not in ("local", "slurm"):
        raise ValueError(f"scheduler={scheduler!r}; accepted are local, slurm, or an address such as tcp://host:8786")
    with dask.config.set(_CONFIG):
        security = _security()
        if scheduler == "local":
            check_main_guard()
            cluster = _local(workers, resources, security)
        else:
            cluster = slurm_cluster(workers or 1, resources, slurm, security, folder or Path.cwd())
        with cluster, Client(cluster) as client:
            yield client


def dashboard(client: Client) -> str:
    """Where to look at the cluster."""
    if importlib.util.find_spec("bokeh"):
        return f"Dask dashboard: {client.dashboard_link}"
    return f"scheduler: {client.scheduler.address}. For Dask's dashboard: {sys.executable} -m pip install bokeh"


def default_workers(resources: Resources, gpus: int) -> int:
    """How many runs this machine carries at a time."""
    carried = [available_cores() // resources.threads]
    if resources.memory:
        carried.append(int(0.9 * psutil.virtual_memory().total / resources.memory))
    if gpus:
        carried.append(gpus)
    return max(1, min(carried))


def at_a_time(scheduler: str, workers: int | None, resources: Resources) -> int:
    """How many runs `connect` would have at a time; 1 where only the scheduler knows."""
    if scheduler != "local":
        return workers or 1
    return workers or default_workers(resources, len([] if resources.gpu == 0 else visible_gpus()))


def _security() -> Security:
    try:
        return Security.temporary()
    except ImportError as missing:
        raise ModuleNotFoundError(
            "a batch needs cryptography, without which other users of this machine could run functions as you: "
            f"{sys.executable} -m pip install cryptography"
        ) from missing


def _client(address: str) -> Client:
    try:
        return Client(address, timeout=WAIT)
    except OSError as error:
        raise OSError(f"scheduler: nothing answers at {address} ({error}). Is `dask scheduler` running?") from error


def worker_environments(workers: int, gpus: list[str]) -> list[dict[str, str]]:
    """Variables of each worker: one GPU each where there are any, in turn where there are more workers."""
    return [{"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {} for i in range(workers)]


def _local(workers: int | None, resources: Resources, security: Security) -> SpecCluster:
    gpus = [] if resources.gpu == 0 else visible_gpus()
    if resources.gpu and not gpus:
        raise ValueError("resources: a run asks for a GPU, and CUDA finds none on this machine")
    workers = workers or default_workers(resources, len(gpus))
    # The notebooks' processes use the memory, not the workers; `Watch` limits them.
    own = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    options = {"nthreads": 1, "memory_limit": 0, "dashboard_address": None, **own}
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {"dashboard_address": "127.0.0.1:0", **own}},
        workers={
            number: {"cls": Nanny, "options": options | {"env": environment, "silence_logs": logging.ERROR}}
            for number, environment in enumerate(worker_environments(workers, gpus))
        },
        security=security,
        silence_logs=logging.ERROR,
        name="jne batch",
    )
