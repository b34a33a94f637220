"""HuBERT to the 6th block as GSLM runs it, ours with the very same weights, transformers' of the same sizes, and clips.

**Source:** fairseq, examples/textless_nlp/gslm/speech2unit/pretrained/hubert_feature_reader.py: one utterance at a time, then
scikit-learn's `predict`.
"""

from pathlib import Path

import numpy as np
import torch

from speech2unit.encoders.architectures.wav2vec2 import convert
from workflow.scripts.config_files import default_config

LAYER, NUM_CLUSTERS, SAMPLE_RATE_HZ = 6, 100, 16_000
ROOT = Path(__file__).parents[2]
CLIPS = (("speech_unlabelled", "libri_long", 6), ("speech", "libri", 4), ("speech", "asc", 4))  # folder, dataset, how many
SECONDS = (2, 9, 12, 14, 15, 16, 4, 4, 4, 4, 1, 1, 1, 1)  # about as long as those


def sizes():
    """Published sizes of HuBERT Base with the blocks that are needed, see config/config.yaml."""
    config = default_config()
    return config["convert_encoder"]["hubert_base"]["sizes"] | dict(num_layers=LAYER)


def fairseq_hubert(sizes, seed):
    """fairseq's HubertModel with weights from the seed, the norms' too."""
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
                parameter.mul_(2)  # as drawn, attention looks everywhere alike
    return model.eval().requires_grad_(False)


def transformers_hubert(sizes):
    """transformers' HubertModel of the same sizes (any weights: it is only timed), or None where it is not installed."""
    try:
        from transformers import HubertConfig, HubertModel
    except ModuleNotFoundError:
        return None
    return HubertModel(HubertConfig(num_hidden_layers=sizes["num_layers"])).eval().requires_grad_(False)


def gslm_features(model, waveforms):
    """List of features `[T_i, 768]` of fairseq's model, as GSLM's reader yields them."""
    return [model.extract_features(torch.from_numpy(w)[None], output_layer=LAYER)[0][0].numpy() for w in waveforms]


def our_files(folder, model, sizes):
    """`model`'s weights as an encoder in `folder`."""
    from storage.weights import save_config, save_tensors

    save_tensors(folder / "model.safetensors", convert(model.state_dict(), sizes)[0])
    save_config(folder / "config.json", dict(architecture="wav2vec2", **sizes))
    return folder


def codebook(features, seed):
    """scikit-learn's k-means model of 100 clusters on these features (a few iterations: any centroids will do)."""
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(NUM_CLUSTERS, batch_size=4096, max_iter=5, n_init=1, random_state=seed).fit(np.concatenate(features))


def clips():
    """Waveforms of 1 to 16 s, and where they are from: speech, or noise of the same lengths."""
    root = ROOT / default_config()["paths"]["data"]
    if all((root / folder / "metadata.csv").exists() for folder, _, _ in CLIPS):
        return [waveform for chosen in CLIPS for waveform in _speech(root, *chosen)], "speech"
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, seconds * SAMPLE_RATE_HZ).astype(np.float32) for seconds in SECONDS], "noise"


def _speech(root, folder, dataset, count):
    import pandas as pd

    from speech2unit.corpora.audio import read_audio

    rows = pd.read_csv(root / folder / "metadata.csv").query("dataset == @dataset").sort_values(["n_samples", "path"])
    for place in np.linspace(0, len(rows) - 1, count).astype(int):
        yield read_audio(root / folder / rows["path"].iloc[place], sample_rate=SAMPLE_RATE_HZ)[0]
