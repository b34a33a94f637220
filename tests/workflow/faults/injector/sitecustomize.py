"""On the PYTHONPATH of a run this kills it at a chosen moment: `kill -9`, by the job itself, from within Python's audit events.

FAULT_MODULE: the stage whose job is meant; FAULT_FILE: how the path of one of its outputs ends; FAULT_MOMENT: `start` (its
module is imported), `writing` (the whole file is there under its temporary name), `renamed`, or a number of optimiser
updates; FAULT_SCOPE: `group` kills all processes of the run, `main` only Snakemake itself, and the job lives on.
"""

import os
import re
import signal
import sys
import time

MODULE, FILE, MOMENT, SCOPE = (os.environ.get(f"FAULT_{name}", "") for name in ("MODULE", "FILE", "MOMENT", "SCOPE"))
ORPHAN_SECONDS = 4  # that an orphan idles, so that the next run meets it
SOURCE = re.compile(MODULE.replace(".", r"/(?:__pycache__/)?") + r"\.(?:\w+\.)?pyc?$")  # opened when it is imported
state = dict(met=False, here=False, renamed=False)


def is_job():
    """Whether this is the process of a stage; Snakemake itself reads the sources as well, for their digests."""
    return getattr(sys, "argv", [""])[0].endswith("stage.py")


def strike():
    state["here"] = False
    if SCOPE == "main":
        os.kill(os.getsid(0), signal.SIGKILL)
        time.sleep(ORPHAN_SECONDS)
    else:
        os.killpg(os.getpgid(os.getsid(0)), signal.SIGKILL)
        time.sleep(60)


def watch(event, arguments):
    if event == "open" and not state["met"] and SOURCE.search(str(arguments[0])) and is_job():
        state["here"] = state["met"] = True
        if MOMENT == "start":
            strike()
        elif MOMENT.isdigit():
            count_updates()
    elif state["here"] and state["renamed"]:
        strike()
    elif state["here"] and event == "os.rename" and str(arguments[1]).endswith(FILE):
        state["renamed"] = MOMENT == "renamed"
        if MOMENT == "writing":
            if SCOPE == "group" and os.path.isfile(arguments[0]):
                os.truncate(arguments[0], os.path.getsize(arguments[0]) // 2)
            strike()


def count_updates():
    state["here"] = False
    import torch

    step, done = torch.optim.AdamW.step, []

    def counted(*arguments, **options):
        done.append(1)
        if len(done) == int(MOMENT):
            strike()
        return step(*arguments, **options)

    torch.optim.AdamW.step = counted


if MODULE:
    sys.addaudithook(watch)
