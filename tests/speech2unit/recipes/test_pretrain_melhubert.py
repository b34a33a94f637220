"""Pre-training of a MelHuBERT: reproducible, also after an interruption, and with the front end that it was given."""

import copy
import inspect

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from snakemake.utils import update_config

from speech2unit import encoders
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import FrontEnd, log_mel
from speech2unit.recipes.pretrain_melhubert import pretrain_melhubert
from speech2unit.schemas import UNITS
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from tests.equality import assert_same_tensors
from tests.factories import manifest_row_of_file
from workflow.scripts.config_files import default_config

FRONT_END = FrontEnd(torch.zeros(40), torch.ones(40), False)
TINY = dict(
    sizes=dict(num_layers=1, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4),
    data=dict(min_frames=1, max_crop_frames=15, batch_frames=60, dev_fraction=0.2),
    num_updates=4,
    optimization=dict(warmup_updates=1, evaluate_every=2),
)
NUM_SAMPLES = [4_000 + 700 * number for number in range(12)]  # of each utterance; the first ten are for training


def make_waveform(num_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def write_inputs(folder):
    """Write a corpus with pseudo-labels and a log-Mel encoder; return the stage's arguments for them."""
    rows = []
    units = []
    for number, num_samples in enumerate(NUM_SAMPLES):
        path = folder / f"{number}.wav"
        waveform = make_waveform(num_samples, seed=number)
        soundfile.write(path, waveform, 16_000, subtype="FLOAT")
        split = "train" if number < 10 else "test"
        rows.append(manifest_row_of_file(path, utterance_id=f"u{number}", split=split))
        labels = [frame % 5 for frame in range(len(FRONT_END(waveform)))]
        units.append(dict(utterance_id=f"u{number}", split="train", codebook="c", units=labels))
    tables.write(folder / "manifest.parquet", rows, MANIFEST)
    tables.write(folder / "units.parquet", units, UNITS)
    mean = log_mel(make_waveform(9_000)).mean(0)
    save_tensors(folder / "front_end.safetensors", dict(mean=mean, std=torch.full((40,), 2.0)))
    save_config(folder / "front_end.json", dict(architecture="log_mel", subtract_loudness=False))
    return dict(
        manifests=[folder / "manifest.parquet"],
        targets=[folder / "units.parquet"],
        roots=[folder],
        num_targets=[5],
        front_end=folder / "front_end.safetensors",
        front_end_config=folder / "front_end.json",
    )


@pytest.fixture(scope="module")
def pretrain(tmp_path_factory):
    """Return a function that runs the stage.

    The function takes the folder to write to, optionally another folder with the encoder whose front end is used, and
    settings that differ from those of the test.
    """
    inputs = write_inputs(tmp_path_factory.mktemp("inputs"))
    preset = default_config()["pretrain_melhubert"]["small"]
    update_config(preset, TINY)

    def run(folder, first_stage=None, **changed_settings):
        settings = copy.deepcopy(preset)
        update_config(settings, changed_settings)
        arguments = inputs | settings
        if first_stage:
            arguments |= dict(front_end=first_stage / "model.safetensors", front_end_config=first_stage / "config.json")
        pretrain_melhubert(
            model=folder / "model.safetensors",
            config=folder / "config.json",
            training=folder / "training.parquet",
            **arguments,
        )

    return run


@pytest.fixture(scope="module")
def trained(pretrain, tmp_path_factory):
    """Return the folder of an encoder."""
    folder = tmp_path_factory.mktemp("trained")
    pretrain(folder)
    return folder


def assert_same_encoder(first, second):
    assert_same_tensors(load_file(first / "model.safetensors"), load_file(second / "model.safetensors"))
    curves = [tables.read(folder / "training.parquet", TRAINING) for folder in (first, second)]
    assert curves[0].drop_columns("seconds").equals(curves[1].drop_columns("seconds"))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tensors_and_curve(pretrain, trained, tmp_path):
    pretrain(tmp_path)
    assert_same_encoder(trained, tmp_path)
    assert set(tables.read(tmp_path / "training.parquet", TRAINING)["update"].to_pylist()) == {2, 4}


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_tensors_and_curve(pretrain, trained, tmp_path, interrupted):
    interrupted(lambda: pretrain(tmp_path), tmp_path / "model.safetensors", updates=[4])
    assert_same_encoder(trained, tmp_path)


@pytest.mark.slow
def test_the_stage_writes_an_encoder_with_the_given_front_end(trained):
    encoder = encoders.load(trained)
    assert (encoder.dim, encoder.num_layers) == (16, 1)
    assert torch.equal(encoder.front_end.std, torch.full((40,), 2.0))
    assert not encoder.front_end.subtract_loudness
    assert np.isfinite(encoder.features([make_waveform(4_000)], 1)[0]).all()


@pytest.mark.slow
def test_frames_of_10_ms_with_targets_of_20_ms(pretrain, tmp_path):
    pretrain(
        tmp_path,
        sizes=dict(frame_ms=10),
        data=dict(mask=dict(span=10)),
        optimization=dict(decay="constant"),
    )
    encoder = encoders.load(tmp_path)
    assert (encoder.hop_length, encoder.front_end.dim) == (160, 40)
    assert encoder.features([make_waveform(4_000)], 1)[0].shape == (23, 16)


@pytest.mark.slow
def test_a_second_stage_has_the_front_end_of_the_first(pretrain, trained, tmp_path):
    pretrain(tmp_path, first_stage=trained)
    front_end = encoders.load(tmp_path).front_end
    assert torch.equal(front_end.std, torch.full((40,), 2.0))
    assert not front_end.subtract_loudness


@pytest.mark.slow
def test_short_utterances_are_left_out(pretrain, tmp_path):
    min_frames = FRONT_END.num_frames(NUM_SAMPLES[9])
    with pytest.raises(ValueError, match="expected at least one of each, got 0 of 1 for the dev loss"):
        pretrain(tmp_path, data=dict(min_frames=min_frames))


@pytest.mark.slow
def test_no_argument_has_a_default():
    assert all(p.default is p.empty for p in inspect.signature(pretrain_melhubert).parameters.values())
