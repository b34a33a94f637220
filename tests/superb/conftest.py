"""Tiny encoders with random weights in folders, waveforms for them, and a small task."""

from dataclasses import asdict

import numpy as np
import pytest
import soundfile
import torch

from speech2unit.encoders.architectures.decoar2 import build_model
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.wav2vec2_bert import Wav2Vec2BertConfig, Wav2Vec2BertModel
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel
from storage import tables
from storage.weights import save_config, save_tensors
from superb.schemas import CLASSES, DATASET
from superb.tune_encoder import tune_encoder
from tests.factories import manifest_row_of_file

SIZES = dict(num_layers=2, dim=16, ffn_dim=24, num_heads=2, pos_conv_kernel=6, pos_conv_groups=4)
WAV2VEC2 = SIZES | dict(
    conv_layers=[[16, 10, 5], [16, 128, 64]], conv_bias=False, conv_norm="group", normalize_waveform=False, pre_norm=False, num_buckets=0,
    max_distance=0,
)  # fmt: skip
WHISPER = dict(num_mels=80, num_positions=600, num_layers=2, dim=16, ffn_dim=24, num_heads=2, padded=False, final_norm=False)
CONFORMER = dict(num_layers=2, dim=16, ffn_dim=24, num_heads=2, conv_kernel=3, max_left=4, max_right=2)
MELHUBERT = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=24, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7,))
MODELS = dict(
    melhubert=lambda: (MelHuBERTModel(MELHUBERT), asdict(MELHUBERT) | dict(subtract_loudness=True)),
    wav2vec2=lambda: (Wav2Vec2Model(Wav2Vec2Config(**WAV2VEC2)), WAV2VEC2),
    decoar2=lambda: (build_model(SIZES), SIZES),
    wav2vec2_bert=lambda: (Wav2Vec2BertModel(Wav2Vec2BertConfig(**CONFORMER)), CONFORMER),
    whisper=lambda: (WhisperModel(WhisperConfig(**WHISPER)), WHISPER),
)


def randomize(model):
    """Set all parameters of a model to fixed random numbers and return its tensors."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) / max(parameter[0].numel(), 9) ** 0.5
            parameter.copy_(noise + (name.endswith("weight") and parameter.ndim == 1))
    return model.state_dict()


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """Function from a name of `MODELS` to the folder of such an encoder."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        model, settings = MODELS[name]()
        statistics = dict(mean=torch.zeros(40), std=torch.ones(40)) if name == "melhubert" else {}
        save_tensors(folder / "model.safetensors", randomize(model) | statistics)
        save_config(folder / "config.json", settings | dict(architecture=name))
        return folder

    return make


@pytest.fixture(params=MODELS)
def folder(request, encoder_folder):
    return encoder_folder(request.param)


@pytest.fixture
def melhubert(encoder_folder):
    return encoder_folder("melhubert")


@pytest.fixture
def waveforms():
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.standard_normal(n).astype(np.float32) / 10) for n in (4000, 2345, 6100)]


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Folder and manifest rows of 36 clips of 0.25 to 0.35 s. The pitch is the class: `a`, `b` or `c`."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(36):
        label = "abc"[i % 3]
        num_samples = int(rng.integers(4000, 5600))
        wave = np.sin(2 * np.pi * (300, 900, 2700)[i % 3] * np.arange(num_samples) / 16_000)
        path = folder / f"u{i:02d}.wav"
        soundfile.write(path, 0.1 * wave + rng.normal(0, 0.01, num_samples), 16_000)
        split = "train" if i < 24 else "dev" if i < 30 else "test"
        rows.append(manifest_row_of_file(path, split=split, labels=[label]))
    return folder, rows


@pytest.fixture
def task(tones, melhubert, tmp_path):
    """Inputs and settings of `tune_encoder` for the tones, without hidden states."""
    folder, rows = tones
    tables.write(tmp_path / "dataset.parquet", [{name: row[name] for name in DATASET.names} for row in rows], DATASET)
    classes = [dict(slot=0, index=i, label=label, num_rows=8) for i, label in enumerate("abc")]
    tables.write(tmp_path / "classes.parquet", classes, CLASSES)
    return dict(
        dataset=tmp_path / "dataset.parquet", classes=tmp_path / "classes.parquet", hidden_states=[], root=str(folder), kind="KS",
        model=melhubert / "model.safetensors", config=melhubert / "config.json", tuning=dict(method="weighted_sum"), seeds=[1, 2],
        head=dict(architecture="mean_pooling", projection_dim=8), batch_size=8,
    )  # fmt: skip


@pytest.fixture
def tune(task, tmp_path):
    """Function that runs `tune_encoder` on the tones and returns its outputs. Settings of `optimization` are given as others."""

    def run(name="tuned", **settings):
        paths = dict(
            tuned=tmp_path / f"{name}.safetensors", training=tmp_path / f"{name}.parquet", sizes=tmp_path / f"{name}.json"
        )
        optimization = dict(batches_per_update=1, learning_rate=0.02, warmup_updates=2, clip_norm=1.0, betas=[0.9, 0.98])
        optimization |= dict(weight_decay=0.0, evaluate_every=6)
        optimization |= {key: settings.pop(key) for key in optimization.keys() & settings.keys()}
        defaults = dict(warm_start=[], num_updates=12, encoder_learning_rate=0.01, optimization=optimization)
        tune_encoder(**paths, **task | defaults | settings)
        return paths

    return run
