"""The log-Mel encoder: statistics of the training split only, and the settings of the front end."""

import numpy as np
import pytest
import soundfile
import torch

from speech2unit import encoders
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import log_mel, without_loudness
from speech2unit.recipes.fit_log_mel import fit_log_mel, mean_and_std
from storage import tables
from tests.factories import manifest_row_of_file

NUM_SAMPLES = dict(a=4000, b=6000, c=5000, d=3000)
SPLITS = dict(a="train", b="train", c="dev", d="test")


def manifest_row(folder, name, split, speed=1.0):
    return manifest_row_of_file(folder / f"{name}.wav", utterance_id=f"{speed}{name}", split=split, speed=speed)


@pytest.fixture
def corpus(tmp_path):
    """Return a folder with four audio files, two of them for training, and a manifest with a copy at another speed."""
    for number, (name, num_samples) in enumerate(NUM_SAMPLES.items()):
        noise = np.random.default_rng(number).standard_normal(num_samples)
        samples = (0.05 * (number + 1) * noise).astype(np.float32)
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
    rows = [manifest_row(tmp_path, name, split) for name, split in SPLITS.items()]
    rows.append(manifest_row(tmp_path, "a", "train", speed=0.9))
    tables.write(tmp_path / "manifest.parquet", rows, MANIFEST)
    return tmp_path


def test_mean_and_std_are_those_of_all_frames_together():
    mels = [torch.randn(num_frames, 40) * 3 + 7 for num_frames in (5, 1, 30)]
    mean, std = mean_and_std(mels)
    frames = torch.cat(mels)
    torch.testing.assert_close(mean, frames.mean(0))
    torch.testing.assert_close(std, frames.std(0, correction=0))


def test_the_std_of_a_constant_bin_is_above_0():
    _, std = mean_and_std([torch.ones(5, 40)])
    assert (std > 0).all()


@pytest.mark.parametrize("subtract_loudness", [False, True])
@pytest.mark.parametrize("std_per_bin", [False, True])
def test_features_of_the_training_split_are_normalized(corpus, subtract_loudness, std_per_bin):
    fit_log_mel(
        manifests=[corpus / "manifest.parquet"],
        roots=[corpus],
        model=corpus / "encoder/model.safetensors",
        config=corpus / "encoder/config.json",
        frame_ms=20,
        subtract_loudness=subtract_loudness,
        std_per_bin=std_per_bin,
    )
    front_end = encoders.load(corpus / "encoder").front_end
    assert front_end.subtract_loudness == subtract_loudness
    mels = [log_mel(soundfile.read(corpus / f"{name}.wav", dtype="float32")[0]) for name in "ab"]
    features = torch.cat([front_end.normalize(mel) for mel in mels])
    torch.testing.assert_close(features.mean(0), torch.zeros(40), atol=1e-4, rtol=0)
    std = torch.cat([without_loudness(mel) if subtract_loudness else mel for mel in mels]).std(0, correction=0)
    expected = torch.ones(40) if std_per_bin else std / std.mean()
    torch.testing.assert_close(features.std(0, correction=0), expected, atol=1e-3, rtol=0)
