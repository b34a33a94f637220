"""Small transformers with drawn weights, and some utterances on disk."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speech2unit import encoders
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import FrontEnd
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.schemas import UNITS
from storage import tables
from storage.weights import save_config, save_tensors
from tests.factories import manifest_row_of_file

HUBERT = dict(
    conv_layers=[[8, 10, 5], [8, 8, 8], [8, 8, 8]], conv_bias=False, conv_norm="group", normalize_waveform=False, pre_norm=False,
    num_layers=2, dim=16, ffn_dim=24, num_heads=4, pos_conv_kernel=4, pos_conv_groups=2, num_buckets=0, max_distance=0,
)  # fmt: skip
TRANSFORMERS = dict(
    melhubert=lambda: MelHuBERTModel(MelHuBERTConfig(2, 16, 24, 4, 4, 2, (5,))),
    hubert=lambda: Wav2Vec2Model(Wav2Vec2Config(**HUBERT)),
    wavlm=lambda: Wav2Vec2Model(Wav2Vec2Config(**HUBERT | dict(num_buckets=8, max_distance=20))),
    large=lambda: Wav2Vec2Model(Wav2Vec2Config(**HUBERT | dict(pre_norm=True))),
)


def drawn(model):
    """`model` with weights from one seed, none of which is 0, for inference."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
    return model.eval()


@pytest.fixture(params=TRANSFORMERS)
def transformer(request):
    """Function that builds a transformer of two blocks: four heads, 16 values a frame, 24 rows."""
    return lambda: drawn(TRANSFORMERS[request.param]())


@pytest.fixture
def melhubert():
    return drawn(TRANSFORMERS["melhubert"]())


@pytest.fixture
def hubert():
    return drawn(TRANSFORMERS["hubert"]())


@pytest.fixture
def utterances(tmp_path):
    """(path, row of a manifest) of seven noises: batches of four leave a short one behind."""
    found = []
    for i in range(7):
        num_samples = 4_000 + 900 * i
        noise = np.random.default_rng(i).standard_normal(num_samples) / 10
        soundfile.write(tmp_path / f"{i}.wav", noise.astype(np.float32), 16_000, subtype="FLOAT")
        found.append((tmp_path / f"{i}.wav", manifest_row_of_file(tmp_path / f"{i}.wav", utterance_id=f"u{i}")))
    return found


DATA = dict(
    augmentation=dict(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0),
    mask=dict(probability=0.4, span=2, min_spans=1), unmasked_weight=0.0, max_crop_frames=15, batch_frames=60, dev_fraction=0.3,
)  # fmt: skip
OPTIMIZATION = dict(
    batches_per_update=1,
    learning_rate=0.01,
    warmup_updates=0,
    clip_norm=5.0,
    betas=[0.9, 0.98],
    weight_decay=0.01,
    evaluate_every=1,
)


@pytest.fixture
def lineage(utterances, tmp_path):
    """Function: a transformer's name → what a stage that makes an encoder of another one asks for, a function that loads the
    model that it made (in the folder of that name), and the parent.
    """

    def prepare(name, child="child"):
        (tmp_path / "parent").mkdir(exist_ok=True)
        (tmp_path / child).mkdir()
        model, melhubert = drawn(TRANSFORMERS[name]()), name == "melhubert"
        architecture = "melhubert" if melhubert else "wav2vec2"
        front_end = dict(mean=torch.zeros(40), std=torch.full((40,), 2.0)) if melhubert else {}
        save_tensors(tmp_path / "parent/model.safetensors", model.state_dict() | front_end)
        settings = dict(architecture=architecture, subtract_loudness=False) if melhubert else dict(architecture=architecture)
        save_config(tmp_path / "parent/config.json", settings | asdict(model.config))
        tables.write(tmp_path / "manifest.parquet", [row for _, row in utterances], MANIFEST)
        num_frames = FrontEnd(torch.zeros(40), torch.ones(40), False).num_frames
        units = [
            dict(utterance_id=f"u{i}", split="train", codebook="c", units=[k % 5 for k in range(num_frames(row["num_samples"]))])
            for i, (_, row) in enumerate(utterances)
        ]
        tables.write(tmp_path / "units.parquet", units, UNITS)
        settings = dict(
            parent_model=tmp_path / "parent/model.safetensors", parent_config=tmp_path / "parent/config.json",
            manifests=[tmp_path / "manifest.parquet"], targets=[tmp_path / "units.parquet"] if melhubert else [], roots=[tmp_path],
            num_targets=[5] if melhubert else [], model=tmp_path / child / "model.safetensors", config=tmp_path / child / "config.json",
            training=tmp_path / child / "training.parquet", dropout=0.1, data=DATA, optimization=OPTIMIZATION, seed=1,
        )  # fmt: skip

        def load(folder=child):
            assert np.isfinite(encoders.load(Path(tmp_path / folder)).features([np.zeros(2_000, np.float32)], 1)[0]).all()
            return encoders.load_trainable(tmp_path / folder).model

        return settings, load, model

    return prepare
