"""Audio to units on the whole machine: our code with the best number of processes and threads, against GSLM's in one process.

The peer runs with PyTorch's default number of threads. The time does not include the start of processes and loading the weights.
"""

import contextlib
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers import hubert
from benchmarks.side_by_side import compare, seconds
from speech2unit import encoders
from speech2unit.quantize import nearest_centroids

_encoder = _centroids = None


def start(folder, centroids, threads):
    """Load the encoder and the centroids in a new process."""
    global _encoder, _centroids
    torch.set_num_threads(threads)
    _encoder = encoders.load(folder)
    _centroids = centroids


def units_of(waveform):
    """Return the units of a waveform, and the seconds of CPU time that they took."""
    started = time.process_time()
    units = nearest_centroids(_encoder.features([waveform], hubert.LAYER)[0], _centroids)
    return units, time.process_time() - started


def pool(folder, centroids, processes, threads):
    """Return an executor with a number of processes, each of which computes with a number of threads."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=start, initargs=(folder, centroids, threads))


def layouts(cores):
    """Return all pairs (processes, threads per process) that use all cores."""
    return [(processes, cores // processes) for processes in range(1, cores + 1) if cores % processes == 0]


def main(runs=5):
    """Run the benchmark."""
    sizes = hubert.sizes()
    waveforms, origin = hubert.clips()
    waveforms = sorted(waveforms, key=len, reverse=True)  # the longest first, so that no process works on one alone at the end
    theirs = hubert.fairseq_hubert(sizes, seed=0)
    kmeans = hubert.codebook(hubert.gslm_features(theirs, waveforms), seed=0)

    def peer():
        started = time.process_time()
        units = [kmeans.predict(hubert.gslm_features(theirs, [w])[0]) for w in waveforms]
        return units, time.process_time() - started

    def check(ours, peer):
        our_units = [units for units, _ in ours]
        our_cpu_seconds = sum(cpu_seconds for _, cpu_seconds in ours)
        peer_units, peer_cpu_seconds = peer
        num_changed = int(sum((a != b).sum() for a, b in zip(our_units, peer_units)))
        num_units = sum(map(len, our_units))
        if num_changed:
            raise ValueError(f"units_processes: both sides must agree; {num_changed} of {num_units} units differ")
        return dict(ratio_of_cpu_time=peer_cpu_seconds / our_cpu_seconds, changed_units=num_changed, num_units=num_units)

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        hubert.our_files(Path(folder), theirs, sizes)
        centroids = kmeans.cluster_centers_.astype(np.float32)
        cores = len(os.sched_getaffinity(0))
        pools = {layout: stack.enter_context(pool(folder, centroids, *layout)) for layout in layouts(cores)}

        def compute_units(layout):
            return list(pools[layout].map(units_of, waveforms))

        times = {}
        for layout in pools:
            times[layout] = min(seconds(partial(compute_units, layout))[0] for _ in range(3))  # the first call warms up
        best = min(times, key=times.get)
        audio_seconds = sum(map(len, waveforms)) / hubert.SAMPLE_RATE_HZ
        compare(
            "units_processes",
            partial(compute_units, best),
            peer,
            what="the same on all cores, with the best number of processes and threads; peer: as above",
            unit="s/s of audio",
            runs=runs,
            aim=1.45,
            items=audio_seconds,
            check=check,
            waveforms=origin,
            layout=dict(processes=best[0], threads=best[1]),
            layouts=[dict(processes=p, threads=t, seconds=taken / audio_seconds) for (p, t), taken in times.items()],
        )


if __name__ == "__main__":
    main()
