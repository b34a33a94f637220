"""Two ways to compute the same, timed in turns in one process: `compare(...)` → `benchmarks/results/{name}.json`.

Each module of this folder is one benchmark, run as `python -m benchmarks.{name}`; `peers/` holds what others do.
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
    """Call `ours()` and `peer()` in turns, A B A B …, and write the record of their times, which is also returned.

    what: one line for the table; unit: of the times, `s/step`; runs: timed calls of each; peer_runs: fewer of a peer that
    takes minutes, without a warm-up; aim: the ratio hoped for; warm_up: calls of each before; items, peer_items: what one
    call works through, a time is that of one item; check: (last result of ours, of peer) → more figures, raises
    `ValueError` where they ought to agree and do not.
    The `ratio` is the peer's median time over ours. `ratio_of_cpu_time` is that of the seconds of all cores and child
    processes: what else the machine does changes it little, but cores that wait for each other do not count.
    """
    before, times, cpu = load(), dict(ours=[], peer=[]), dict(ours=[], peer=[])

    def timed(who, call, count):
        started = sum(os.times()[:4])
        taken, result = seconds(call)
        times[who].append(taken / count)
        cpu[who].append((sum(os.times()[:4]) - started) / count)
        return result

    for _ in range(warm_up):
        ours(), peer_runs or peer()
    for turn in range(runs):
        our_result = timed("ours", ours, items)
        if peer_runs is None or turn < peer_runs:
            peer_result = timed("peer", peer, peer_items or items)
    figures["ratio_of_cpu_time"] = statistics.mean(cpu["peer"]) / max(statistics.mean(cpu["ours"]), 1e-9)
    if check:
        figures |= check(our_result, peer_result)
    return write(name, times["ours"], times["peer"], what=what, unit=unit, aim=aim, load_before=before, **figures)


def write(name, ours, peer, *, what, unit, aim, load_before, **figures):
    """Record of a benchmark from the single times of ours and of the peer; written to `results/{name}.json`."""
    medians = statistics.median(ours), statistics.median(peer)
    record = dict(
        name=name,
        what=what,
        unit=unit,
        ours=medians[0],
        peer=medians[1],
        ratio=medians[1] / medians[0],
        aim=aim,
        **figures,
        runs=dict(ours=ours, peer=peer),
        versions=versions(),
        machine=machine() | dict(load_before=load_before, load_after=load()),
    )
    write_json(RESULTS / f"{name}.json", _rounded(record))
    print(f"{name}: ours {medians[0]:.4g} {unit}, peer {medians[1]:.4g} {unit}, ratio {record['ratio']:.2f}", figures, flush=True)
    return record


def seconds(call):
    """Seconds that `call()` takes, work queued on a GPU included, and its result."""
    _wait_for_gpu()
    started = time.perf_counter()
    result = call()
    _wait_for_gpu()
    return time.perf_counter() - started, result


def matmul_peak(threads, dtype, size=2048, repeats=20):
    """Most floating-point operations a second that the product of two `[size, size]` matrices reaches on so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    best = min(seconds(lambda: a @ b)[0] for _ in range(repeats))
    torch.set_num_threads(before)
    return 2 * size**3 / best


def versions():
    """Versions of Python, of our libraries and of the peers'."""
    others = [name for name in ("transformers",) if name in sys.modules]
    return provenance.versions() | {name: importlib.metadata.version(name) for name in others}


def machine():
    """Processor, cores that this process may use, compute threads, and GPU where torch has one."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    found = dict(cpu=model[1] if model else platform.processor(), cores=len(os.sched_getaffinity(0)), threads=_threads())
    return found | (dict(gpu=sys.modules["torch"].cuda.get_device_name()) if _gpu_is_used() else {})


def load():
    """Processes that ran or waited in the last minute, on average: what else the machine was doing."""
    return os.getloadavg()[0]


def _threads():
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def _gpu_is_used():
    return "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized()


def _wait_for_gpu():
    if _gpu_is_used():
        sys.modules["torch"].cuda.synchronize()


def _rounded(value):
    """The same with floats of six significant digits."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
