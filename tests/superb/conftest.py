"""Tiny encoders with drawn weights, in folders, and waveforms for them."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speech2unit.encoders.decoar2 import build
from speech2unit.encoders.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.wav2vec2_model import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.weights import save_config, save_tensors

SIZES = dict(num_layers=2, dim=16, ffn_dim=24, num_heads=2, pos_conv_kernel=6, pos_conv_groups=4)
WAV2VEC2 = SIZES | dict(
    conv_layers=[[16, 10, 5], [16, 128, 64]], conv_bias=False, conv_norm="group", normalize_waveform=False, pre_norm=False, num_buckets=0,
    max_distance=0,
)  # fmt: skip
MELHUBERT = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=24, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7,))
MODELS = dict(
    melhubert=lambda: (MelHuBERTModel(MELHUBERT), asdict(MELHUBERT) | dict(level_removed=True)),
    wav2vec2=lambda: (Wav2Vec2Model(Wav2Vec2Config(**WAV2VEC2)), WAV2VEC2),
    decoar2=lambda: (build(SIZES), SIZES),
)


def drawn(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) / max(parameter[0].numel(), 9) ** 0.5
            parameter.copy_(noise + (name.endswith("weight") and parameter.ndim == 1))
    return model.state_dict()


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """Name of `MODELS` → folder of such an encoder."""

    def make(name):
        folder, (model, settings) = tmp_path_factory.mktemp(name), MODELS[name]()
        own = dict(mean=torch.zeros(40), std=torch.ones(40)) if name == "melhubert" else {}
        save_tensors(folder / "model.safetensors", drawn(model) | own)
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
