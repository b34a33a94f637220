"""Audio to units, HuBERT Base to the 6th block, one utterance at a time on the same threads: ours against GSLM's way."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers import hubert
from benchmarks.side_by_side import compare, matmul_peak, seconds
from speech2unit import encoders
from speech2unit.assign_units import nearest_centroids
from speech2unit.encoders.models.fast_layers import Linear


def flops(sizes, num_samples):
    """Floating-point operations of the matrix products (an addition and a multiplication are two) for one waveform, as the
    model is defined: convolutions tap by tap.
    """
    total, length, channels = 0, num_samples, 1
    for dim, kernel, stride in sizes["conv_layers"]:
        length = (length - kernel) // stride + 1
        total, channels = total + 2 * length * dim * kernel * channels, dim
    dim = sizes["dim"]
    position = dim * sizes["pos_conv_kernel"] * dim // sizes["pos_conv_groups"]
    block = 4 * dim**2 + 2 * dim * sizes["ffn_dim"] + 2 * length * dim
    return total + 2 * length * (channels * dim + position + sizes["num_layers"] * block)


def packed_peak(size=2048, repeats=20):
    """As `matmul_peak`, of a matrix that lies as oneDNN wants it."""
    layer, x = Linear(size, size, bias=False).requires_grad_(False), torch.randn(size, size)
    layer.pack()
    return 2 * size**3 / min(seconds(lambda: layer(x))[0] for _ in range(repeats))


def agreement(ours, peer, our_features, peer_features):
    """Largest relative error of features and how many units differ; raises `ValueError` beyond 1e-5 and 0."""
    pairs = list(zip(our_features, peer_features))
    error = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
    changed = int(sum((a != b).sum() for a, b in zip(ours, peer)))
    if error > 1e-5 or changed:
        raise ValueError(f"units: both must agree; relative error {error:.1e}, {changed} units differ")
    return dict(max_relative_error=error, changed_units=changed, num_units=sum(map(len, ours)))


def main(runs=5):
    sizes, (waveforms, origin) = hubert.sizes(), hubert.clips()
    theirs = hubert.fairseq_hubert(sizes, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        encoder = encoders.load(hubert.our_files(Path(folder), theirs, sizes))
    kmeans = hubert.codebook(hubert.gslm_features(theirs, waveforms), seed=0)
    other = hubert.transformers_hubert(sizes)
    work, audio = sum(flops(sizes, len(w)) for w in waveforms), sum(map(len, waveforms)) / hubert.SAMPLE_RATE_HZ

    def ours():
        return [nearest_centroids(encoder.features([w], hubert.LAYER)[0], kmeans.cluster_centers_) for w in waveforms]

    def peer():
        return [kmeans.predict(hubert.gslm_features(theirs, [w])[0]) for w in waveforms]

    def transformers():
        return [kmeans.predict(other(torch.from_numpy(w)[None]).last_hidden_state[0].numpy()) for w in waveforms]

    def check(our_units, peer_units):
        peaks = dict(peak_per_second=matmul_peak(torch.get_num_threads(), torch.float32), packed_peak_per_second=packed_peak())
        fastest = min(seconds(ours)[0] for _ in range(3))
        features = [encoder.features([w], hubert.LAYER)[0] for w in waveforms], hubert.gslm_features(theirs, waveforms)
        beside = dict(transformers=min(seconds(transformers)[0] for _ in range(2)) / audio) if other else {}
        return peaks | dict(
            fraction_of_peak=work / fastest / max(peaks.values()),
            flops_per_second_of_audio=work / audio,
            **agreement(our_units, peer_units, *features),
            **beside,
        )

    compare(
        "units",
        ours,
        peer,
        what="units of HuBERT Base, layer 6, K=100; peer: fairseq's HubertModel and scikit-learn's predict, as GSLM",
        unit="s/s of audio",
        runs=runs,
        aim=1.25,
        items=audio,
        check=check,
        waveforms=origin,
        num_waveforms=len(waveforms),
    )


if __name__ == "__main__":
    main()
