"""Progress of long stages: a bar on a terminal, a line every few seconds in a log."""

import sys
import time

from tqdm import tqdm

LOG_INTERVAL_SECONDS = 5


def progress(items, unit, total=None, before=0):
    """Iterate over `items`, showing how far it is on standard error; `before`: so many were done by an earlier run."""
    if sys.stderr.isatty():
        yield from tqdm(items, unit=f" {unit}", total=total, initial=before)
        return
    total = total if total is not None else before + len(items)
    start = shown = time.monotonic()
    for done, item in enumerate(items, before + 1):
        yield item
        now = time.monotonic()
        if now - shown >= LOG_INTERVAL_SECONDS or done == total:
            shown = now
            left = (now - start) / (done - before) * (total - done)
            print(f"{done} of {total} {unit}, {now - start:.0f} s, {left:.0f} s to go", file=sys.stderr, flush=True)
