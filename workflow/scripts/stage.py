"""Run one stage: call the function that the rule names with the rule's own keyword names.

Reserved params: `stage` (module and function), `code` (digest of the code), `num_threads` (compute threads, the same
however many cores Snakemake grants: thread counts change floats) and `row` (settings that depend on the wildcards).
"""

import importlib
import os
import sys
import time
from pathlib import Path

RESERVED = ("stage", "code", "num_threads", "row")
params = snakemake.params  # noqa: F821  (Snakemake puts `snakemake` here)
log = open(snakemake.log[0], "w", buffering=1)  # noqa: F821  (open until the process ends)
sys.stdout = sys.stderr = log
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(params.num_threads)
# Threads that wait must sleep: with more threads than cores, spinning ones take the core from those that compute.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# MKL takes another path through its kernels where memory is aligned otherwise; this fixes the path.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
sys.path.insert(0, str(Path(snakemake.scriptdir).parents[1]))  # noqa: F821

from speech2unit import provenance  # noqa: E402


def run():
    module = importlib.import_module(params.stage)
    inputs, outputs = dict(snakemake.input), dict(snakemake.output)  # noqa: F821
    settings = {k: v for k, v in params.items() if k not in RESERVED} | dict(params.get("row", {}))
    paths = [path for value in inputs.values() for path in ([value] if isinstance(value, str) else value)]
    started = time.monotonic()
    print(time.strftime("%F %T"), params.stage, settings)
    with provenance.running(job=snakemake.log[0], stage=params.stage, settings=settings, inputs=paths):  # noqa: F821
        getattr(module, params.stage.split(".")[-1])(**inputs, **outputs, **settings)
    print(time.strftime("%F %T"), f"done in {time.monotonic() - started:.1f} s, {provenance.peak_memory_mb()} MB")


try:
    run()
except ValueError as error:  # a message for the user, who sees Snakemake's output and not this log
    print(error)
    print(f"{params.stage}: {error}", file=sys.__stderr__)
    sys.exit(1)
