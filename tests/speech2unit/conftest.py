"""Small transformers with drawn weights, and some utterances on disk."""

import numpy as np
import pytest
import soundfile
import torch

from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
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
    """Return path and manifest row of seven files of noise; batches of four leave a short one."""
    rows = []
    for number in range(7):
        path = tmp_path / f"{number}.wav"
        noise = np.random.default_rng(number).standard_normal(4_000 + 900 * number) / 10
        soundfile.write(path, noise.astype(np.float32), 16_000, subtype="FLOAT")
        rows.append((path, manifest_row_of_file(path, utterance_id=f"u{number}")))
    return rows
