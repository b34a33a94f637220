"""Progress of long stages: a bar on a terminal, a line every few seconds in a log."""

import sys
import time

LOG_INTERVAL_SECONDS = 5


def progress(items, unit, total=None, done_before=0):
    """Yield the items and report the progress on standard error.

    Args:
        items: iterable of the items to yield.
        unit: name of the items in the plural, such as `updates`.
        total: number of items including `done_before`; needed if `items` has no length.
        done_before: number of items that an earlier run finished.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, unit=f" {unit}", total=total, initial=done_before)
        return
    total = total if total is not None else done_before + len(items)
    start = last_report = time.monotonic()
    for num_done, item in enumerate(items, done_before + 1):
        yield item
        now = time.monotonic()
        if now - last_report >= LOG_INTERVAL_SECONDS or num_done == total:
            last_report = now
            elapsed = now - start
            remaining = elapsed / (num_done - done_before) * (total - num_done)
            print(f"{num_done} of {total} {unit}, {elapsed:.0f} s, {remaining:.0f} s to go", file=sys.stderr, flush=True)
