"""Measure the costs of encoders: size, multiply-adds, time and memory on one CPU thread. One job measures all encoders.

Times are medians over rounds. In each round every encoder runs once, so that other load on the machine affects all of them
equally. Multiply-adds are those that this implementation computes: a wide positional convolution counts as a product in the
frequency domain, and products with the zeros of a sparse matrix count too. Fourier transforms, norms and activations do not
count.
"""

import os
import statistics
import subprocess
import sys
import time
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from speech2unit import encoders
from speech2unit.schemas import MEASUREMENTS
from storage import provenance, tables
from storage.files import read_json
from storage.progress import progress
from storage.weights import load_tensors

# Tensors that do not count as learned parameters: statistics of the log-Mel frames, and the sinusoids of Whisper.
NOT_LEARNED = ("mean", "std", "positions")


def noise(seconds, sample_rate):
    """Return white noise `[N]`, float32. The cost of encoding does not depend on the content of the audio.

    Args:
        seconds: duration.
        sample_rate: sample rate in Hz.
    """
    return 0.1 * np.random.default_rng(0).standard_normal(int(seconds * sample_rate)).astype(np.float32)


def count_parameters(tensors):
    """Return the number of learned values in a dict from name to tensor, and how many of them are not 0."""
    learned = [tensor for name, tensor in tensors.items() if name not in NOT_LEARNED]
    num_parameters = sum(tensor.numel() for tensor in learned)
    num_nonzero = sum(int(tensor.count_nonzero()) for tensor in learned)
    return num_parameters, num_nonzero


def multiply_adds(encoder, waveform):
    """Return the multiply-adds of matrix products and convolutions while `waveform` `[N]` passes through all layers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    flop_formulas = {
        torch.ops.aten.bmm: _bmm,
        torch.ops.mkldnn._linear_pointwise: _linear,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        torch.ops.aten.mkldnn_rnn_layer: _lstm,
    }
    with FlopCounterMode(display=False, custom_mapping=flop_formulas) as counter:
        encoder.features([waveform], encoder.num_layers)
    return counter.get_total_flops() // 2


def _bmm(a, b, *_, **__):
    """FLOPs of a batched matrix product. A product of complex numbers takes four multiply-adds."""
    return 2 * prod(a.shape) * b.shape[-1] * (4 if a.is_complex() else 1)


_bmm._get_raw = True  # PyTorch then passes the tensors instead of their shapes


def _linear(x, weight, *_, out_shape, **__):
    """FLOPs of a linear layer with packed weights, from shapes."""
    return 2 * prod(out_shape) * x[-1]


def _attention(queries, keys, values, *_, **__):
    """FLOPs of scaled dot-product attention, from shapes: products with all keys and with all values."""
    return 2 * prod(queries) * keys[-2] + 2 * prod(queries[:-1]) * prod(values[-2:])


def _lstm(x, input_weight, state_weight, *_, **__):
    """FLOPs of an LSTM layer, from shapes."""
    return 2 * prod(x[:-1]) * (prod(input_weight) + prod(state_weight))


def peak_memory_mb(folder, seconds):
    """Return the memory, in 10⁶ bytes, that a new process needs beyond Python and torch to load an encoder and encode audio once.

    A forked process cannot be used: if its parent has already computed, it can wait forever for the parent's threads.

    Args:
        folder: folder of the encoder.
        seconds: duration of the audio.
    """
    code = f"from {__name__} import print_peak; print_peak({str(folder)!r}, {seconds!r})"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    process = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(process.stdout.split()[-1])


def print_peak(folder, seconds):
    """Print the additional memory for loading an encoder and encoding audio; `peak_memory_mb` runs this in a new process."""
    import torchaudio.compliance.kaldi  # noqa: F401  (also imports torch; neither counts)

    before = provenance.process_peak_memory_mb()
    encoder = encoders.load(folder)
    encoder.features([noise(seconds, encoder.sample_rate)], encoder.num_layers)
    print(provenance.process_peak_memory_mb() - before)


def interleaved_medians(calls, num_rounds):
    """Call several functions in turn (A, B, C, A, B, C, …), and return the median seconds of each.

    Args:
        calls: list of functions without arguments.
        num_rounds: number of rounds to time. One more round comes before them and is not timed.
    """
    seconds_of_calls = [[] for _ in calls]
    for round_number in progress(range(num_rounds + 1), "rounds"):
        for call, seconds in zip(calls, seconds_of_calls):
            started = time.perf_counter()
            call()
            if round_number:
                seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in seconds_of_calls]


def measure_encoders(*, models, configs, measurements, names, parents, seconds, num_rounds):
    """Stage: write one row per encoder. See `MEASUREMENTS`.

    Args:
        models: model.safetensors of each encoder.
        configs: config.json of each encoder.
        measurements: table of `MEASUREMENTS` to write.
        names: name of each encoder.
        parents: name of each encoder's parent, which must be among `names`; empty for an encoder without a parent.
        seconds: duration of the audio to encode.
        num_rounds: number of rounds to time.
    """
    folders = {name: Path(model).parent for name, model in zip(names, models)}
    memory_mb = {name: peak_memory_mb(folder, seconds) for name, folder in folders.items()}
    loaded = {name: encoders.load(folder) for name, folder in folders.items()}
    audio = {name: noise(seconds, encoder.sample_rate) for name, encoder in loaded.items()}
    calls = [partial(encoder.features, [audio[name]], encoder.num_layers) for name, encoder in loaded.items()]
    medians = dict(zip(names, interleaved_medians(calls, num_rounds)))
    rows = []
    for name, parent, model, config in zip(names, parents, models, configs):
        num_parameters, num_nonzero = count_parameters(load_tensors(model))
        rows.append(
            dict(
                encoder=name,
                parent=parent or None,
                architecture=read_json(config)["architecture"],
                parameters=num_parameters,
                density=num_nonzero / num_parameters if num_parameters else 1.0,
                multiply_adds=multiply_adds(loaded[name], audio[name]) / seconds,
                real_time_factor=medians[name] / seconds,
                speedup=medians[parent or name] / medians[name],
                memory_mb=memory_mb[name],
                file_size_mb=Path(model).stat().st_size / 1e6,
            )
        )
    tables.write(measurements, rows, MEASUREMENTS)
