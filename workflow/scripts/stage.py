"""Run one stage: call the function that the rule names with the rule's own keyword names.

Reserved params: `stage` (module and function), `code` (digest of the code), `num_threads` (number of compute threads),
`wildcard_settings` (settings that depend on the wildcards), `external_files` (name of an input → path outside of results/ → digest)
and `first_root` (the root at which the recordings of a corpus were first read; it is recorded). The number of threads does not depend on the cores that Snakemake
grants, because it changes the last bits of floating-point results. A rule that trains has the resource `gpu_processes`. If it is
2 or more, this number of processes run the stage, each on its own GPU.
"""

import fcntl
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path

RESERVED = ("stage", "code", "num_threads", "wildcard_settings", "external_files", "first_root")
params = snakemake.params  # noqa: F821  (Snakemake puts `snakemake` here)
rank = int(os.environ.get("RANK", 0))  # number of this process among those that torchrun started, which share the log
log = open(snakemake.log[0], "a", buffering=1)  # noqa: F821  (open until the process ends, and the lock on it with it)
sys.stdout = sys.stderr = log
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(params.num_threads)
# Waiting threads must sleep: with more threads than cores, spinning threads would take the cores from computing ones.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# MKL chooses its kernels by the alignment of memory; this makes the choice independent of it.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
sys.path.insert(0, str(Path(snakemake.scriptdir).parents[1]))  # noqa: F821

from storage import files, provenance  # noqa: E402
from training.checkpointing import keep_checkpoints  # noqa: E402
from workflow.scripts.closing_errors import ERROR_MARK  # noqa: E402


def wait_for_orphan():
    """Wait until no other process runs the same job, and then delete temporary files that a killed process of this job left.

    If the main process of Snakemake is killed, its jobs continue as orphans. A later run may then start the same job again. Each
    process holds a lock on the job's log while it runs, so the second process waits here until the orphan has ended.
    """
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{params.stage}: waits for the same job of a run that was killed: {snakemake.log[0]}", file=sys.__stderr__)  # noqa: F821
        fcntl.flock(log, fcntl.LOCK_EX)
    except OSError as error:  # a file system without locks
        print("no lock:", error)
    log.truncate(0)
    for path in dict(snakemake.output).values():  # noqa: F821
        files.remove_leftovers(path)


def run():
    """Call the function of the stage with the inputs, outputs and settings of the job."""
    module = importlib.import_module(params.stage)
    job, inputs, outputs = snakemake.log[0], dict(snakemake.input), dict(snakemake.output)  # noqa: F821
    settings = {k: v for k, v in params.items() if k not in RESERVED} | dict(params.get("wildcard_settings", {}))
    external = {name: list(digests) for name, digests in params.get("external_files", {}).items()}
    paths = [path for value in inputs.values() for path in ([value] if isinstance(value, str) else value)]
    paths = [files.checksum_list(path) for path in paths]  # a folder is not hashed, but its list of hashes is
    external_paths = [path for value in external.values() for path in value]
    inputs |= external
    checkpoints = keep_checkpoints(
        output=next(iter(snakemake.output), job),  # noqa: F821
        identity=[params.stage, params.code, params.num_threads, settings],
        inputs=[*paths, *external_paths],
        curves=Path(job).with_suffix(""),
        interval_seconds=snakemake.config["checkpoint_seconds"],  # noqa: F821
    )
    first_root = params.get("first_root")
    recorded = settings | (dict(first_root=first_root) if first_root else {})
    started = time.monotonic()
    print(time.strftime("%F %T"), params.stage, settings)
    with (
        provenance.running(job=job, stage=params.stage, settings=recorded, inputs=paths, external_inputs=external_paths),
        checkpoints,
        tempfile.TemporaryDirectory() as aside,
    ):
        if rank:  # only the first process writes the results of the job
            outputs = {name: f"{aside}/{Path(path).name}" for name, path in outputs.items()}
        getattr(module, params.stage.split(".")[-1])(**inputs, **outputs, **settings)
    print(time.strftime("%F %T"), f"done in {time.monotonic() - started:.1f} s, {provenance.peak_memory_mb()} MB")


def launch(num_processes):
    """Run this script in several processes. PyTorch sets the environment variable `RANK` of each to its number."""
    from torch.distributed.run import main

    main(["--standalone", f"--nproc-per-node={num_processes}", __real_file__])  # noqa: F821  (Snakemake's copy of this file)


try:
    if "RANK" not in os.environ:
        wait_for_orphan()
    num_processes = snakemake.resources.get("gpu_processes", 1)  # noqa: F821
    if num_processes > 1 and "RANK" not in os.environ:
        launch(num_processes)
    else:
        run()
except ValueError as error:  # a message for the user, who sees Snakemake's output and not this log
    print(f"{ERROR_MARK}{params.stage}: {error}")
    print(f"{params.stage}: {error}", file=sys.__stderr__)
    sys.exit(1)
