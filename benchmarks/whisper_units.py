"""Audio to units with Whisper tiny.en, layer 3, K=500, one clip at a time and in float32: ours against transformers.

`whisper_units_*`: we compute the frames of the audio alone, as the stages do. The peer is transformers' own forward pass, which takes no
other input than 30 s: silence follows each clip. Some units differ for that reason.
`whisper_frames_*`: both sides compute the same frames and three blocks. The peer calls the parts of transformers' encoder one by one.
`whisper_padded_3`: both sides compute 30 s for a clip of 3 s.
The numbers in the names are the seconds of a clip. The peer assigns units with scikit-learn's `predict`.
"""

import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans

from benchmarks.peers import hubert
from benchmarks.side_by_side import compare, matmul_peak, seconds
from benchmarks.units import packed_peak
from speech2unit import encoders
from speech2unit.encoders.architectures.whisper import convert
from speech2unit.encoders.models.whisper import num_frames
from speech2unit.quantize import nearest_centroids
from storage.weights import load_tensors, save_config, save_tensors
from workflow.scripts.config_files import default_config

LAYER = 3
NUM_CLUSTERS = 500
NUM_CLIPS = 12
SECONDS = (1, 3, 10)  # of a clip
PADDED_SAMPLES = 30 * hubert.SAMPLE_RATE_HZ
WEIGHTS = hubert.ROOT / "resources/whisper_tiny_en/model.safetensors"  # without this file, the weights are random
PREFIX = "model.encoder."  # of the names of tensors in the published file
MAX_RELATIVE_ERROR = 1e-4
MAX_CHANGED = 0.001  # fraction of the units


def clips(length):
    """Return clips of `length` seconds, and a text that says whether they hold speech or noise."""
    waveforms, origin = hubert.clips()
    joined = np.concatenate(waveforms)
    size = length * hubert.SAMPLE_RATE_HZ
    return [joined[start : start + size] for start in np.linspace(0, len(joined) - size, NUM_CLIPS).astype(int)], origin


def flops(sizes, num_samples):
    """Return the number of floating-point operations in the matrix products for one clip, those of the log-Mel frames excepted.

    Args:
        sizes: dict of the fields of `WhisperConfig`.
        num_samples: number of samples of the clip.
    """
    dim, length = sizes["dim"], num_samples // 320
    convolutions = 3 * dim * (2 * sizes["num_mels"] + dim)  # the first one computes two vectors per frame
    block = 4 * dim**2 + 2 * dim * sizes["ffn_dim"] + 2 * length * dim
    return 2 * length * (convolutions + LAYER * block + NUM_CLUSTERS * dim)


def whisper(sizes):
    """Return transformers' `WhisperEncoder`, with the trained weights if their folder is there."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    model = WhisperEncoder(
        WhisperConfig(
            num_mel_bins=sizes["num_mels"],
            d_model=sizes["dim"],
            encoder_layers=sizes["num_layers"],
            encoder_ffn_dim=sizes["ffn_dim"],
            encoder_attention_heads=sizes["num_heads"],
        )
    )
    if WEIGHTS.exists():
        model.load_state_dict({name.removeprefix(PREFIX): value for name, value in load_tensors(WEIGHTS).items()})
    return model.eval().requires_grad_(False)


def our_encoder(folder, model, sizes):
    """Return our encoder with the weights of transformers' `model`."""
    folder.mkdir()
    save_tensors(folder / "model.safetensors", convert({PREFIX + name: x for name, x in model.state_dict().items()}, sizes)[0])
    save_config(folder / "config.json", dict(architecture="whisper", **sizes))
    return encoders.load(folder)


def mel_frames(waveform, padding):
    """Return transformers' log-Mel frames `[1, 80, T]` of a waveform."""
    return _extractor()(waveform, sampling_rate=hubert.SAMPLE_RATE_HZ, padding=padding, return_tensors="pt").input_features


@cache
def _extractor():
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=80)


def own_forward(model, waveform):
    """Return the features `[T, D]` of layer 3 of a waveform, from transformers' forward pass over 30 s."""
    states = model(mel_frames(waveform, "max_length"), output_hidden_states=True).hidden_states
    return states[LAYER][0, : num_frames(len(waveform))].numpy()


def three_blocks(model, waveform, padding):
    """Return the same from the parts of transformers' encoder, which as a whole refuses audio without padding."""
    x = F.gelu(model.conv2(F.gelu(model.conv1(mel_frames(waveform, padding))))).transpose(1, 2)
    x = x + model.embed_positions.weight[: x.shape[1]]
    for layer in model.layers[:LAYER]:
        x = layer(x, None)
        x = x[0] if isinstance(x, tuple) else x
    return x[0, : num_frames(len(waveform))].numpy()


def compare_clips(name, length, peer_features, *, what, runs, padded=False):
    """Time both sides for clips of `length` seconds, and write the record `name`.

    Args:
        name, what, runs: see `side_by_side.compare`.
        length: seconds of a clip.
        peer_features: function that maps transformers' encoder and a waveform to the features `[T, D]` of layer 3.
        padded: whether silence follows the audio up to 30 s on our side too.
    """
    sizes = default_config()["convert_encoder"]["whisper_tiny"]["sizes"] | dict(padded=padded)
    waveforms, origin = clips(length)
    model = whisper(sizes)
    with tempfile.TemporaryDirectory() as folder:
        encoder = our_encoder(Path(folder) / "whisper", model, sizes)

    def our_features(waveform):
        return encoder.features([waveform], LAYER)[0]

    frames = np.concatenate([our_features(waveform) for waveform in clips(max(SECONDS))[0]])
    kmeans = MiniBatchKMeans(NUM_CLUSTERS, batch_size=4096, max_iter=5, n_init=1, random_state=0).fit(frames)

    def ours():
        return [nearest_centroids(our_features(waveform), kmeans.cluster_centers_) for waveform in waveforms]

    def peer():
        return [kmeans.predict(peer_features(model, waveform)) for waveform in waveforms]

    def check(our_units, peer_units):
        peak = max(matmul_peak(torch.get_num_threads(), torch.float32), packed_peak())
        fastest = min(seconds(ours)[0] for _ in range(3))
        operations = sum(flops(sizes, PADDED_SAMPLES if padded else len(waveform)) for waveform in waveforms)
        pairs = [(our_features(waveform), peer_features(model, waveform)) for waveform in waveforms]
        error = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
        changed = float(np.mean(np.concatenate(our_units) != np.concatenate(peer_units)))
        if peer_features is not own_forward and (error > MAX_RELATIVE_ERROR or changed > MAX_CHANGED):
            raise ValueError(f"{name}: both sides must agree; relative error {error:.1e}, {changed:.2%} of the units differ")
        return dict(
            peak_per_second=peak,
            fraction_of_peak=operations / fastest / peak,
            max_relative_error=error,
            fraction_of_changed_units=changed,
        )

    return compare(
        name,
        ours,
        peer,
        what=f"a clip of {length} s to units of Whisper tiny.en, layer 3, K=500; peer: transformers, {what}",
        unit="s/clip",
        runs=runs,
        aim=1.5,
        items=len(waveforms),
        check=check,
        waveforms=origin,
        weights="trained" if WEIGHTS.exists() else "random",
    )


@torch.no_grad()
def main(runs=7):
    """Run the benchmark."""
    without_padding = partial(three_blocks, padding="do_not_pad")
    with_padding = partial(three_blocks, padding="max_length")
    for length in SECONDS:
        compare_clips(f"whisper_units_{length}", length, own_forward, what="its forward pass over 30 s", runs=runs)
        compare_clips(f"whisper_frames_{length}", length, without_padding, what="the same frames", runs=runs)
    compare_clips("whisper_padded_3", 3, with_padding, what="both sides padded to 30 s", runs=runs, padded=True)


if __name__ == "__main__":
    main()
