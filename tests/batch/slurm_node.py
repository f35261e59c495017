"""A SLURM of one node on this machine, of whoever starts it: for the tests, and for a look by hand.

``python tests/batch/slurm_node.py COMMAND ...`` runs a command beside it, such as ``bash``, in which ``sinfo``,
``sbatch`` and ``jne batch --scheduler slurm`` work, and stops it after. It needs Debian's slurm-wlm and munge, no root
and no settings of the machine: its folder, its ports and its key are its own, so that several run side by side.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "setpriv", "sbatch", "scancel", "scontrol", "squeue")
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# More processors and memory than the machine may have: what is tested waits more than it computes.
CONF = """\
ClusterName=jne
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
KillWait=2
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
WAIT = 30


def missing():
    """The programs that are not on this machine."""
    return [name for name in PROGRAMS if not shutil.which(name, path=PLACES)]


@contextlib.contextmanager
def slurm_node():
    """Start it for the length of the block; its configuration, which ``SLURM_CONF`` has to name."""
    with tempfile.TemporaryDirectory(prefix="jne-slurm-") as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        folder.chmod(0o755)  # munge wants its socket within reach of all
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o755)
        key = folder / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        conf, host = folder / "slurm.conf", socket.gethostname().split(".")[0]
        conf.write_text(CONF.format(folder=folder, host=host, user=getpass.getuser(), ports=_free_ports(2)))
        munge = [f"--{name}={folder}/munge/{name.split('-')[0]}" for name in ("pid-file", "log-file", "seed-file")]
        munge += [f"--socket={folder}/munge/socket", f"--key-file={key}"]
        # None is used, and to look for the other kind would take systemd and root.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        stack.enter_context(_daemon(folder, "munged", "--foreground", "--force", *munge))
        _until(lambda: (folder / "munge/socket").exists(), "munged", folder)
        stack.enter_context(_daemon(folder, "slurmctld", "-D", "-f", conf))
        stack.enter_context(_daemon(folder, "slurmd", "-D", "-f", conf, "-N", "node"))
        _until(lambda: "idle" in ask(conf, "sinfo", "-h", "-o", "%T"), "the node", folder)
        stack.callback(_end_jobs, conf)
        yield conf


def ask(conf, *command):
    """What one of SLURM's commands prints."""
    environment = os.environ | {"SLURM_CONF": str(conf)}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, timeout=WAIT).stdout


def _free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


@contextlib.contextmanager
def _daemon(folder, name, *options):
    # Of a session of its own, for Ctrl-C is for whoever stops it; with an end also when this process is killed.
    command = ["setpriv", "--pdeathsig", "TERM", shutil.which(name, path=PLACES), *map(str, options)]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_jobs(conf):
    """A job outlives slurmd, so it is ended before."""
    if jobs := ask(conf, "squeue", "-h", "-o", "%A").split():
        ask(conf, "scancel", *jobs)
    deadline = time.monotonic() + WAIT
    while ask(conf, "squeue", "-h", "-o", "%A").strip() and time.monotonic() < deadline:
        time.sleep(0.2)


def _until(condition, what, folder):
    deadline = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log")))
            raise TimeoutError(f"{what} is not ready after {WAIT} s\n{logs}")
        time.sleep(0.1)


def _stop(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    if not sys.argv[1:] or missing():
        sys.exit(f"{__doc__}\nNot here: {', '.join(missing()) or 'a command'}")
    signal.signal(signal.SIGTERM, _stop)
    try:
        with slurm_node() as conf:
            sys.exit(subprocess.run(sys.argv[1:], env=os.environ | {"SLURM_CONF": str(conf)}).returncode)
    except KeyboardInterrupt:
        sys.exit(130)
