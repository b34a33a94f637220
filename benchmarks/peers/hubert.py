"""HuBERT up to block 6 in three implementations, and clips to encode.

The implementations are GSLM's, ours with the same weights, and that of transformers with the same sizes. GSLM's code computes one
utterance at a time and then calls scikit-learn's `predict`.

**Source:** fairseq, examples/textless_nlp/gslm/speech2unit/pretrained/hubert_feature_reader.py.
"""

from pathlib import Path

import numpy as np
import torch

from speech2unit.encoders.architectures.wav2vec2 import convert
from workflow.scripts.config_files import default_config

LAYER = 6
NUM_CLUSTERS = 100
SAMPLE_RATE_HZ = 16_000
ROOT = Path(__file__).parents[2]
CLIPS = (("speech_unlabelled", "libri_long", 6), ("speech", "libri", 4), ("speech", "asc", 4))  # folder, dataset, number of clips
SECONDS = (2, 9, 12, 14, 15, 16, 4, 4, 4, 4, 1, 1, 1, 1)  # lengths of the noise that is used without the clips, similar to theirs


def sizes():
    """Return the published sizes of HuBERT Base with 6 blocks in place of 12, a dict of fields of `Wav2Vec2Config`."""
    config = default_config()
    return config["convert_encoder"]["hubert_base"]["sizes"] | dict(num_layers=LAYER)


def fairseq_hubert(sizes, seed):
    """Return fairseq's `HubertModel` with random weights, also in its norms."""
    from fairseq.data import Dictionary
    from fairseq.models.hubert.hubert import HubertConfig, HubertModel
    from fairseq.tasks.hubert_pretraining import HubertPretrainingConfig

    torch.manual_seed(seed)
    model = HubertModel(
        HubertConfig(label_rate=50, encoder_layers=sizes["num_layers"]),
        HubertPretrainingConfig(sample_rate=SAMPLE_RATE_HZ),
        [Dictionary()],
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
            elif "encoder.layers" in name:
                parameter.mul_(2)  # otherwise attention would be nearly uniform
    return model.eval().requires_grad_(False)


def transformers_hubert(sizes):
    """Return the `HubertModel` of transformers with the same sizes, only for timing; None if it is not installed."""
    try:
        from transformers import HubertConfig, HubertModel
    except ModuleNotFoundError:
        return None
    return HubertModel(HubertConfig(num_hidden_layers=sizes["num_layers"])).eval().requires_grad_(False)


def gslm_features(model, waveforms):
    """Return the features `[T_i, 768]` of each waveform, which fairseq's model computes as in GSLM's reader."""
    return [model.extract_features(torch.from_numpy(w)[None], output_layer=LAYER)[0][0].numpy() for w in waveforms]


def our_files(folder, model, sizes):
    """Write the weights of fairseq's model to a folder in the format of our encoders, and return the folder."""
    from storage.weights import save_config, save_tensors

    save_tensors(folder / "model.safetensors", convert(model.state_dict(), sizes)[0])
    save_config(folder / "config.json", dict(architecture="wav2vec2", **sizes))
    return folder


def codebook(features, seed):
    """Return a k-means model of scikit-learn with 100 clusters. A few iterations suffice, because any centroids can be used."""
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(NUM_CLUSTERS, batch_size=4096, max_iter=5, n_init=1, random_state=seed).fit(np.concatenate(features))


def clips():
    """Return waveforms of 1 to 16 s, and a text that says what they are: speech, or noise of similar lengths."""
    root = ROOT / default_config()["paths"]["data"]
    if all((root / folder / "metadata.csv").exists() for folder, _, _ in CLIPS):
        return [waveform for clip_set in CLIPS for waveform in _speech(root, *clip_set)], "speech"
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, seconds * SAMPLE_RATE_HZ).astype(np.float32) for seconds in SECONDS], "noise"


def _speech(root, folder, dataset, count):
    import pandas as pd

    from speech2unit.corpora.audio import read_audio

    rows = pd.read_csv(root / folder / "metadata.csv").query("dataset == @dataset").sort_values(["n_samples", "path"])
    for place in np.linspace(0, len(rows) - 1, count).astype(int):
        yield read_audio(root / folder / rows["path"].iloc[place], sample_rate=SAMPLE_RATE_HZ)[0]
