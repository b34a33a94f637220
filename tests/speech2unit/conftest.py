"""Small transformers with random weights, and utterances on disk."""

from dataclasses import asdict

import numpy as np
import pytest
import soundfile
import torch

from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.schemas import FEATURES
from storage import tables
from storage.weights import save_config, save_tensors
from tests.factories import manifest_row_of_file
from tests.random_models import TRANSFORMERS, with_random_weights

LENGTHS = [400, 16_000, 2_000, 2_000, 5_500, 9_001, 720, 12_345, 3_000, 8_000]  # samples of the files of `corpus`
SIZES = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(4,))


@pytest.fixture(params=TRANSFORMERS)
def transformer(request):
    """Return a function that builds a transformer with two blocks, each with four heads, 16 dimensions and 24 feed-forward rows."""
    return lambda: with_random_weights(TRANSFORMERS[request.param]())


@pytest.fixture
def melhubert():
    return with_random_weights(TRANSFORMERS["melhubert"]())


@pytest.fixture
def hubert():
    return with_random_weights(TRANSFORMERS["hubert"]())


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


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Folder with ten files of noise and a random MelHuBERT in `encoder/`, and the manifest rows of the files."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    rows = []
    for i, length in enumerate(LENGTHS):
        soundfile.write(folder / f"{i}.wav", (0.1 * rng.standard_normal(length)).astype(np.float32), 16_000, subtype="FLOAT")
        played_slower = dict(speed=0.9, num_samples=10_001) if i == 5 else {}
        split = "train" if i % 2 else "test"
        rows.append(manifest_row_of_file(folder / f"{i}.wav", utterance_id=f"u{i}", split=split, **played_slower))
    torch.manual_seed(0)
    tensors = MelHuBERTModel(SIZES).state_dict() | dict(mean=torch.full((40,), 8.0), std=torch.full((40,), 3.0))
    save_tensors(folder / "encoder/model.safetensors", tensors)
    save_config(folder / "encoder/config.json", dict(architecture="melhubert", subtract_loudness=False) | asdict(SIZES))
    return folder, rows


@pytest.fixture(scope="session")
def large_features(tmp_path_factory):
    """Features of 200 training utterances of 12 s with 768 dimensions: 369 MB, which compress to almost nothing."""
    path = tmp_path_factory.mktemp("large") / "1-of-1.parquet"
    with tables.writer(path, FEATURES) as out:
        for i in range(200):
            row = dict(utterance_id=f"u{i:03d}", split="train", speed=1.0, num_frames=600)
            out.write([row | dict(features=np.full(600 * 768, i, np.float32))])
    return path
