"""Audio to units on the whole machine: the best of some processes with some threads each, against GSLM's one process.

The peer runs on PyTorch's default threads. Processes are started and have read the weights before the clock runs.
"""

import contextlib
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers import hubert
from benchmarks.side_by_side import compare, seconds
from speech2unit import encoders
from speech2unit.assign_units import nearest_centroids

_encoder = _centroids = None


def start(folder, centroids, threads):
    """Make a process ready."""
    global _encoder, _centroids
    torch.set_num_threads(threads)
    _encoder, _centroids = encoders.load(folder), centroids


def units_of(waveform):
    """Units of a waveform, in a process that is ready, and the seconds of processor time that they took."""
    started = time.process_time()
    return nearest_centroids(_encoder.features([waveform], hubert.LAYER)[0], _centroids), time.process_time() - started


def pool(folder, centroids, processes, threads):
    """Processes of so many threads each."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=start, initargs=(folder, centroids, threads))


def layouts(cores):
    """(processes, threads each) that use all cores."""
    return [(processes, cores // processes) for processes in range(1, cores + 1) if cores % processes == 0]


def main(runs=5):
    sizes, (waveforms, origin) = hubert.sizes(), hubert.clips()
    waveforms = sorted(waveforms, key=len, reverse=True)  # the longest first, so that none is alone at the end
    theirs = hubert.fairseq_hubert(sizes, seed=0)
    kmeans = hubert.codebook(hubert.gslm_features(theirs, waveforms), seed=0)

    def peer():
        started = time.process_time()
        return [kmeans.predict(hubert.gslm_features(theirs, [w])[0]) for w in waveforms], time.process_time() - started

    def check(ours, peer):
        units, (peer_units, peer_taken) = [found for found, _ in ours], peer
        changed, total = int(sum((a != b).sum() for a, b in zip(units, peer_units))), sum(map(len, units))
        if changed:
            raise ValueError(f"units_processes: both must agree; {changed} of {total} units differ")
        return dict(ratio_of_cpu_time=peer_taken / sum(taken for _, taken in ours), changed_units=changed, num_units=total)

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        hubert.our_files(Path(folder), theirs, sizes)
        centroids, cores = kmeans.cluster_centers_.astype(np.float32), len(os.sched_getaffinity(0))
        pools = {layout: stack.enter_context(pool(folder, centroids, *layout)) for layout in layouts(cores)}
        calls = {layout: (lambda found=found: list(found.map(units_of, waveforms))) for layout, found in pools.items()}
        times = {layout: min(seconds(call)[0] for _ in range(3)) for layout, call in calls.items()}  # the first one warms up
        best = min(times, key=times.get)
        audio = sum(map(len, waveforms)) / hubert.SAMPLE_RATE_HZ
        compare(
            "units_processes",
            calls[best],
            peer,
            what="the same on all cores: the best layout of processes and threads; peer: as above",
            unit="s/s of audio",
            runs=runs,
            aim=1.45,
            items=audio,
            check=check,
            waveforms=origin,
            layout=dict(processes=best[0], threads=best[1]),
            layouts=[dict(processes=p, threads=t, seconds=taken / audio) for (p, t), taken in times.items()],
        )


if __name__ == "__main__":
    main()
