"""Audio to units with HuBERT Base up to block 6, one utterance at a time and with the same threads: ours against GSLM's code."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers import hubert
from benchmarks.side_by_side import compare, matmul_peak, seconds
from speech2unit import encoders
from speech2unit.encoders.models.fast_layers import Linear
from speech2unit.quantize import nearest_centroids


def flops(sizes, num_samples):
    """Return the number of floating-point operations in the matrix products for one waveform.

    A multiplication and an addition count as two operations. Convolutions count as the model defines them, tap by tap.

    Args:
        sizes: dict of the fields of `Wav2Vec2Config`.
        num_samples: number of samples of the waveform.
    """
    total = 0
    length = num_samples
    channels = 1
    for dim, kernel, stride in sizes["conv_layers"]:
        length = (length - kernel) // stride + 1
        total += 2 * length * dim * kernel * channels
        channels = dim
    dim = sizes["dim"]
    position = dim * sizes["pos_conv_kernel"] * dim // sizes["pos_conv_groups"]
    block = 4 * dim**2 + 2 * dim * sizes["ffn_dim"] + 2 * length * dim
    return total + 2 * length * (channels * dim + position + sizes["num_layers"] * block)


def packed_peak(size=2048, repeats=20):
    """Return the same as `side_by_side.matmul_peak`, for a matrix in the memory layout of oneDNN."""
    layer = Linear(size, size, bias=False).requires_grad_(False)
    x = torch.randn(size, size)
    layer.pack()
    return 2 * size**3 / min(seconds(lambda: layer(x))[0] for _ in range(repeats))


def agreement(ours, peer, our_features, peer_features):
    """Return the largest relative error of features, and the number of different units.

    Args:
        ours, peer: lists of units, one array per utterance.
        our_features, peer_features: lists of features `[T_i, D]`.

    Raises:
        ValueError: if the error exceeds 1e-5, or units differ.
    """
    error = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(our_features, peer_features))
    changed = int(sum((a != b).sum() for a, b in zip(ours, peer)))
    if error > 1e-5 or changed:
        raise ValueError(f"units: both sides must agree; relative error {error:.1e}, {changed} units differ")
    return dict(max_relative_error=error, changed_units=changed, num_units=sum(map(len, ours)))


def main(runs=5):
    """Run the benchmark."""
    sizes = hubert.sizes()
    waveforms, origin = hubert.clips()
    theirs = hubert.fairseq_hubert(sizes, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        encoder = encoders.load(hubert.our_files(Path(folder), theirs, sizes))
    kmeans = hubert.codebook(hubert.gslm_features(theirs, waveforms), seed=0)
    transformers_model = hubert.transformers_hubert(sizes)
    operations = sum(flops(sizes, len(waveform)) for waveform in waveforms)
    audio_seconds = sum(map(len, waveforms)) / hubert.SAMPLE_RATE_HZ

    def ours():
        return [nearest_centroids(encoder.features([w], hubert.LAYER)[0], kmeans.cluster_centers_) for w in waveforms]

    def peer():
        return [kmeans.predict(hubert.gslm_features(theirs, [w])[0]) for w in waveforms]

    def transformers():
        return [kmeans.predict(transformers_model(torch.from_numpy(w)[None]).last_hidden_state[0].numpy()) for w in waveforms]

    def check(our_units, peer_units):
        peaks = dict(peak_per_second=matmul_peak(torch.get_num_threads(), torch.float32), packed_peak_per_second=packed_peak())
        fastest = min(seconds(ours)[0] for _ in range(3))
        our_features = [encoder.features([w], hubert.LAYER)[0] for w in waveforms]
        peer_features = hubert.gslm_features(theirs, waveforms)
        figures = peaks | dict(
            fraction_of_peak=operations / fastest / max(peaks.values()),
            flops_per_second_of_audio=operations / audio_seconds,
            **agreement(our_units, peer_units, our_features, peer_features),
        )
        if transformers_model:
            figures |= dict(transformers=min(seconds(transformers)[0] for _ in range(2)) / audio_seconds)
        return figures

    compare(
        "units",
        ours,
        peer,
        what="units of HuBERT Base, layer 6, K=100; peer: fairseq's HubertModel and scikit-learn's predict, as in GSLM",
        unit="s/s of audio",
        runs=runs,
        aim=1.25,
        items=audio_seconds,
        check=check,
        waveforms=origin,
        num_waveforms=len(waveforms),
    )


if __name__ == "__main__":
    main()
