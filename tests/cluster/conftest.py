"""A SLURM of one node on this machine, for as long as the tests of this folder run: `make slurm-test`."""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

CONFIG = Path("/etc/slurm/slurm.conf")  # the one place where a job's srun looks
PLUGIN = "snakemake_executor_plugin_slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
SETTINGS = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
SlurmdTimeout=5
KillWait=2
SchedulerParameters=sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Daemons of munge and SLURM with all their files in one folder; only the configuration lies elsewhere."""

    def __init__(self, folder):
        self.folder, self.host, self.daemons = Path(folder), socket.gethostname().split(".")[0], {}
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        os.chmod(self.folder, 0o711)

    def start(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        socket_file = self.folder / "munge.socket"
        CONFIG.write_text(
            SETTINGS.format(host=self.host, folder=self.folder, ports=_free_ports(2), cpus=os.cpu_count(), memory=_memory_mb())
        )
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "seed", "log")]
        self._start("munged", "--foreground", "--force", f"--socket={socket_file}", *files)
        wait_until(socket_file.exists, "munged makes its socket")
        self._start("slurmctld", "-D", "-c")
        self.start_node()

    def start_node(self):
        self._start("slurmd", "-D")
        wait_until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "the node is idle")

    def kill_node(self):
        """The node's daemons die at once, also those that watch the steps and would tell of their end; the jobs live on."""
        self.daemons["slurmd"].kill()
        self.daemons.pop("slurmd").wait()
        subprocess.run(["pkill", "-KILL", "-x", "slurmstepd"], check=True)

    def stop(self):
        with contextlib.suppress(subprocess.SubprocessError):
            self.ask("scancel", "--user=root")
            wait_until(lambda: not self.ask("squeue", "-h"), "jobs end")
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            daemon.wait(20)
        CONFIG.unlink()

    def ask(self, *call):
        return subprocess.run(call, capture_output=True, text=True, timeout=30).stdout.strip()

    def running(self, rule):
        """Number of the running job of a rule, or none."""
        found = re.search(rf"^(\d+) RUNNING rule_{rule}_", self.ask("squeue", "-h", "-o", "%i %T %k"), re.MULTILINE)
        return found and found[1]

    def wait_for(self, rule):
        """Number of a job of the rule, once its step runs: without a step, a node that dies makes a job fail on its own."""
        job = wait_until(lambda: self.running(rule), f"a job of {rule} runs")
        wait_until(lambda: f"{job}.0" in self.ask("squeue", "-h", "-s", "-o", "%i").split(), f"job {job} has its step")
        return job

    def state(self, job):
        return self.ask("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")

    def _start(self, program, *arguments):
        with open(self.folder / f"{program}.out", "a") as log:
            self.daemons[program] = subprocess.Popen([shutil.which(program), *arguments], stdout=log, stderr=log)


def _free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _memory_mb():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 - 500


def wait_until(condition, what, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    pytest.fail(f"waited {seconds} s until {what}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    lacking += [] if importlib.util.find_spec(PLUGIN) else [PLUGIN]
    if lacking or os.geteuid():
        pytest.skip(f"SLURM's tests need root and {', '.join(lacking) or 'SLURM'}: `make slurm-test` as root installs it")
    if CONFIG.exists():
        pytest.skip(f"this machine has a SLURM of its own ({CONFIG}), which the tests leave alone")
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
