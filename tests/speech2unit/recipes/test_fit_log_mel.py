"""The log-Mel encoder's statistics: over the training split as recorded, nothing else."""

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

LENGTHS = dict(a=4000, b=6000, c=5000, d=3000)
SPLITS = dict(a="train", b="train", c="dev", d="test")


def row(folder, name, split, speed=1.0):
    return manifest_row_of_file(folder / f"{name}.wav", utterance_id=f"{speed}{name}", split=split, speed=speed)


@pytest.fixture
def corpus(tmp_path):
    """Folder with four files, of which two train, and a manifest with a copy at another speed."""
    for i, (name, length) in enumerate(LENGTHS.items()):
        samples = (0.05 * (i + 1) * np.random.default_rng(i).standard_normal(length)).astype(np.float32)
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
    rows = [row(tmp_path, name, split) for name, split in SPLITS.items()] + [row(tmp_path, "a", "train", 0.9)]
    tables.write(tmp_path / "m.parquet", rows, MANIFEST)
    return tmp_path


def test_moments_are_those_of_all_frames_together():
    parts = [torch.randn(n, 40) * 3 + 7 for n in (5, 1, 30)]
    mean, std = mean_and_std(parts)
    whole = torch.cat(parts)
    torch.testing.assert_close(mean, whole.mean(0))
    torch.testing.assert_close(std, whole.std(0, correction=0))


def test_a_bin_without_variance_is_not_divided_by_zero():
    assert (mean_and_std([torch.ones(5, 40)])[1] > 0).all()


@pytest.mark.parametrize("subtract_loudness", [False, True])
@pytest.mark.parametrize("std_per_bin", [False, True])
def test_features_of_the_training_split_have_mean_0_and_deviation_1(corpus, subtract_loudness, std_per_bin):
    how = dict(frame_ms=20, subtract_loudness=subtract_loudness, std_per_bin=std_per_bin)
    files = dict(model=corpus / "e/model.safetensors", config=corpus / "e/config.json")
    fit_log_mel(manifests=[corpus / "m.parquet"], roots=[corpus], **files, **how)
    front_end = encoders.load(corpus / "e").front_end
    mels = [log_mel(soundfile.read(corpus / f"{name}.wav", dtype="float32")[0]) for name in "ab"]
    found = torch.cat([front_end.normalize(mel) for mel in mels])
    torch.testing.assert_close(found.mean(0), torch.zeros(40), atol=1e-4, rtol=0)
    deviations = torch.cat([without_loudness(mel) if subtract_loudness else mel for mel in mels]).std(0, correction=0)
    expected = torch.ones(40) if std_per_bin else deviations / deviations.mean()
    torch.testing.assert_close(found.std(0, correction=0), expected, atol=1e-3, rtol=0)
    assert front_end.subtract_loudness == subtract_loudness
