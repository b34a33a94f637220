"""What encoders cost: sizes, multiply-adds, and time and memory as measured on one CPU thread, all of them in one job.

Encoders take turns, so that whatever else the machine does meets them all; times are medians. Multiply-adds are those that are
done here: a wide positional convolution is a product in the frequency domain, the zeros of a sparse matrix are multiplied
too, and Fourier transforms, norms and activations are left out.
"""

import os
import statistics
import subprocess
import sys
import time
from math import prod
from pathlib import Path

import numpy as np

from speech2unit import encoders
from speech2unit.encoders import load
from speech2unit.schemas import MEASUREMENTS
from storage import provenance, tables
from storage.progress import progress
from storage.weights import load_tensors

FRONT_END = ("mean", "std")  # of log-Mel frames: measured, not learned


def noise(seconds, sample_rate):
    """White noise: what it costs to encode does not depend on what is said."""
    return 0.1 * np.random.default_rng(0).standard_normal(int(seconds * sample_rate)).astype(np.float32)


def count_parameters(tensors):
    """Number of learned values among name → tensor, and how many of them are not 0."""
    learned = [tensor for name, tensor in tensors.items() if name not in FRONT_END]
    return sum(tensor.numel() for tensor in learned), sum(int(tensor.count_nonzero()) for tensor in learned)


def multiply_adds(encoder, waveform):
    """Multiply-adds of matrix products and convolutions while `waveform` `[N]` passes all layers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counted = {
        torch.ops.aten.bmm: _bmm,
        torch.ops.mkldnn._linear_pointwise: _linear,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten.mkldnn_rnn_layer: _lstm,
    }
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        encoder.features([waveform], encoder.num_layers)
    return counter.get_total_flops() // 2


def _bmm(a, b, *_, **__):
    return 2 * prod(a.shape) * b.shape[-1] * (4 if a.is_complex() else 1)


_bmm._get_raw = True  # of the tensors themselves: those of complex numbers take four multiply-adds each


def _linear(x, weight, *_, out_shape, **__):
    return 2 * prod(out_shape) * x[-1]


def _attention(queries, keys, values, *_, **__):
    return 2 * prod(queries) * keys[-2] + 2 * prod(queries[:-1]) * prod(values[-2:])


def _lstm(x, of_input, of_state, *_, **__):
    return 2 * prod(x[:-1]) * (prod(of_input) + prod(of_state))


def peak_memory_mb(folder, seconds):
    """Megabytes that a fresh process needs on top of Python and torch to load an encoder and pass `seconds` of audio through it."""
    code = f"from {__name__} import print_peak; print_peak({str(folder)!r}, {seconds!r})"
    paths = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", code], env=paths, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_peak(folder, seconds):
    """What `peak_memory_mb` asks a process of its own: a fork of one that has computed already may wait for ever for its threads."""
    import torchaudio.compliance.kaldi  # noqa: F401  (it brings torch along; neither is to count)

    before = provenance.process_peak_memory_mb()
    encoder = load(folder)
    encoder.features([noise(seconds, encoder.sample_rate)], encoder.num_layers)
    print(provenance.process_peak_memory_mb() - before)


def interleaved_medians(calls, num_rounds):
    """Median seconds of each of the `calls`, after one that does not count: A B C A B C …"""
    taken = [[] for _ in calls]
    for turn in progress(range(num_rounds + 1), "rounds"):
        for call, seconds in zip(calls, taken):
            started = time.perf_counter()
            call()
            if turn:
                seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in taken]


def measure_encoders(*, models, configs, measurements, names, parents, seconds, num_rounds):
    """Stage: `names` and `parents` (empty: none) belong to `models`; each parent is among the names. See `MEASUREMENTS`."""
    folders = {name: Path(model).parent for name, model in zip(names, models)}
    memory = {name: peak_memory_mb(folder, seconds) for name, folder in folders.items()}
    loaded = {name: load(folder) for name, folder in folders.items()}
    audio = {name: noise(seconds, encoder.sample_rate) for name, encoder in loaded.items()}
    calls = [lambda e=encoder, a=audio[name]: e.features([a], e.num_layers) for name, encoder in loaded.items()]
    medians = dict(zip(names, interleaved_medians(calls, num_rounds)))
    rows = []
    for name, parent, model, config in zip(names, parents, models, configs):
        parameters, nonzero = count_parameters(load_tensors(model))
        rows.append(
            dict(
                encoder=name,
                parent=parent or None,
                architecture=encoders.read_json(config)["architecture"],
                parameters=parameters,
                density=nonzero / parameters if parameters else 1.0,
                multiply_adds=multiply_adds(loaded[name], audio[name]) / seconds,
                real_time_factor=medians[name] / seconds,
                speedup=medians[parent or name] / medians[name],
                memory_mb=memory[name],
                file_size_mb=Path(model).stat().st_size / 1e6,
            )
        )
    tables.write(measurements, rows, MEASUREMENTS)
