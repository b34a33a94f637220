"""Time two implementations of the same computation in one process: `compare(…)` writes `benchmarks/results/{name}.json`.

Most other modules of this folder are benchmarks: `python -m benchmarks.{name}` runs one. `peers/` has the peers, the other
implementations.
"""

import importlib.metadata
import os
import platform
import re
import statistics
import sys
import time
from pathlib import Path

from storage import provenance
from storage.files import write_json

RESULTS = Path(__file__).parent / "results"


def compare(
    name, ours, peer, *, what, unit, runs, peer_runs=None, aim=None, warm_up=1, items=1, peer_items=None, check=None, **figures
):
    """Call `ours()` and `peer()` in turns, A B A B …, and write a record of their times.

    Args:
        name: name of the benchmark.
        ours, peer: functions without arguments that do the computation.
        what: what is computed, one line for the table.
        unit: unit of the times, such as `s/step`.
        runs: number of timed calls of each function.
        peer_runs: number of calls of a peer that takes minutes, below `runs`; it then has no warm-up. None: `runs`.
        aim: the ratio to reach, or None.
        warm_up: number of calls of each function before the timed ones.
        items: number of items that a call of `ours` processes. Times are per item.
        peer_items: number of items that a call of `peer` processes, if it differs.
        check: function that takes the last results of `ours` and `peer`, and returns more figures for the record. It raises
            `ValueError` if the results should agree and do not.
        figures: more figures for the record.

    Returns:
        The record, a dict. `ratio` is the median time of the peer divided by our median time. `ratio_of_cpu_time` is the same for
        the CPU time of all cores and child processes. Other load on the machine changes it little, but it does not include the
        time in which cores wait for each other.
    """
    load_before = load()
    times = dict(ours=[], peer=[])
    cpu_times = dict(ours=[], peer=[])

    def call(side, function, num_items):
        started = sum(os.times()[:4])
        taken, result = seconds(function)
        times[side].append(taken / num_items)
        cpu_times[side].append((sum(os.times()[:4]) - started) / num_items)
        return result

    for _ in range(warm_up):
        ours()
        if peer_runs is None:
            peer()
    for turn in range(runs):
        our_result = call("ours", ours, items)
        if peer_runs is None or turn < peer_runs:
            peer_result = call("peer", peer, peer_items or items)
    figures["ratio_of_cpu_time"] = statistics.mean(cpu_times["peer"]) / max(statistics.mean(cpu_times["ours"]), 1e-9)
    if check:
        figures |= check(our_result, peer_result)
    return write(name, times["ours"], times["peer"], what=what, unit=unit, aim=aim, load_before=load_before, **figures)


def write(name, ours, peer, *, what, unit, aim, load_before, **figures):
    """Write the record of a benchmark to `results/{name}.json`, and return it.

    Args:
        name, what, unit, aim: see `compare`.
        ours, peer: lists of times.
        load_before: the result of `load()` before the benchmark.
        figures: more figures for the record.
    """
    our_median = statistics.median(ours)
    peer_median = statistics.median(peer)
    record = dict(
        name=name,
        what=what,
        unit=unit,
        ours=our_median,
        peer=peer_median,
        ratio=peer_median / our_median,
        aim=aim,
        **figures,
        runs=dict(ours=ours, peer=peer),
        versions=versions(),
        machine=machine() | dict(load_before=load_before, load_after=load()),
    )
    write_json(RESULTS / f"{name}.json", _rounded(record))
    print(
        f"{name}: ours {our_median:.4g} {unit}, peer {peer_median:.4g} {unit}, ratio {record['ratio']:.2f}", figures, flush=True
    )
    return record


def seconds(function):
    """Return the seconds that `function()` takes, including the work that it queues on a GPU, and its result."""
    _wait_for_gpu()
    started = time.perf_counter()
    result = function()
    _wait_for_gpu()
    return time.perf_counter() - started, result


def matmul_peak(threads, dtype, size=2048, repeats=20):
    """Return the highest number of floating-point operations per second in a product of two `[size, size]` matrices."""
    import torch

    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    fastest = min(seconds(lambda: a @ b)[0] for _ in range(repeats))
    torch.set_num_threads(threads_before)
    return 2 * size**3 / fastest


def versions():
    """Return the versions of Python, of our libraries and of the peers'."""
    peers = [name for name in ("transformers",) if name in sys.modules]
    return provenance.versions() | {name: importlib.metadata.version(name) for name in peers}


def machine():
    """Return the processor, the cores that this process may use, the compute threads, and the GPU if torch uses one."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    description = dict(
        cpu=model[1] if model else platform.processor(),
        cores=len(os.sched_getaffinity(0)),
        threads=_num_threads(),
    )
    return description | (dict(gpu=sys.modules["torch"].cuda.get_device_name()) if _gpu_is_used() else {})


def load():
    """Return the mean number of processes that ran or waited in the last minute: how busy the machine was."""
    return os.getloadavg()[0]


def _num_threads():
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def _gpu_is_used():
    return "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized()


def _wait_for_gpu():
    if _gpu_is_used():
        sys.modules["torch"].cuda.synchronize()


def _rounded(value):
    """Return the value with all floats rounded to six significant digits."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
