"""Pre-training of a MelHuBERT: one seed one model, whatever interrupts it."""

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
from tests.factories import manifest_row_of_file
from workflow.scripts.config_files import default_config

FRONT_END = FrontEnd(torch.zeros(40), torch.ones(40), False)
TINY = dict(
    sizes=dict(num_layers=1, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4),
    data=dict(min_frames=1, max_crop_frames=15, batch_frames=60, dev_fraction=0.2),
    num_updates=4,
    optimization=dict(warmup_updates=1, evaluate_every=2),
)


def waveform(num_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The stage on twelve utterances: folder to write to, perhaps the encoder whose units are the targets, settings changed."""
    folder, rows, units = tmp_path_factory.mktemp("melhubert"), [], []
    for i in range(12):
        num_samples = 4_000 + 700 * i
        soundfile.write(folder / f"{i}.wav", waveform(num_samples, i), 16_000, subtype="FLOAT")
        split = "train" if i < 10 else "test"
        rows.append(manifest_row_of_file(folder / f"{i}.wav", utterance_id=f"u{i}", split=split))
        num_frames = len(FRONT_END(waveform(num_samples, i)))
        units.append(dict(utterance_id=f"u{i}", split="train", codebook="c", units=[k % 5 for k in range(num_frames)]))
    tables.write(folder / "m.parquet", rows, MANIFEST)
    tables.write(folder / "u.parquet", units, UNITS)
    save_tensors(folder / "front.safetensors", dict(mean=log_mel(waveform(9_000)).mean(0), std=torch.full((40,), 2.0)))
    save_config(folder / "front.json", dict(architecture="log_mel", subtract_loudness=False))
    preset = default_config()["pretrain_melhubert"]["small"]
    update_config(preset, TINY)
    inputs = dict(front_end=folder / "front.safetensors", front_end_config=folder / "front.json")
    files = dict(model="model.safetensors", config="config.json", training="training.parquet")

    def call(written, stage_1=None, **changed):
        ends = dict(front_end=stage_1 / files["model"], front_end_config=stage_1 / files["config"]) if stage_1 else inputs
        settings = copy.deepcopy(preset)
        update_config(settings, changed)
        pretrain_melhubert(
            manifests=[folder / "m.parquet"],
            targets=[folder / "u.parquet"],
            roots=[folder],
            num_targets=[5],
            **ends,
            **{key: written / file for key, file in files.items()},
            **settings,
        )

    return call


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    """Two folders in which the stage ran with the same settings."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    for folder in folders:
        run(folder)
    return folders


def test_the_same_seed_gives_the_same_tensors_and_curve(trained):
    one, two = (load_file(folder / "model.safetensors") for folder in trained)
    assert set(one) == set(two) and all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    curves = [tables.read(folder / "training.parquet", TRAINING).drop_columns("seconds") for folder in trained]
    assert curves[0].equals(curves[1]) and set(curves[0]["update"].to_pylist()) == {2, 4}


def test_a_run_that_was_killed_goes_on_to_the_same_tensors_and_curve(run, trained, tmp_path, interrupted):
    interrupted(lambda: run(tmp_path), tmp_path / "model.safetensors", updates=[4])
    one, two = (load_file(folder / "model.safetensors") for folder in (trained[0], tmp_path))
    assert set(one) == set(two) and all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    curves = [tables.read(folder / "training.parquet", TRAINING).drop_columns("seconds") for folder in (trained[0], tmp_path)]
    assert curves[0].equals(curves[1])


def test_what_is_written_is_an_encoder_with_the_front_end_that_it_was_given(trained):
    encoder = encoders.load(trained[0])
    assert (encoder.dim, encoder.num_layers) == (16, 1)
    assert torch.equal(encoder.front_end.std, torch.full((40,), 2.0)) and not encoder.front_end.subtract_loudness
    assert np.isfinite(encoder.features([waveform(4_000)], 1)[0]).all()


def test_frames_of_10_ms_from_targets_of_20_ms(run, tmp_path):
    run(tmp_path, sizes=dict(frame_ms=10), data=dict(mask=dict(span=10)), optimization=dict(decay="constant"))
    encoder = encoders.load(tmp_path)
    assert (encoder.hop_length, encoder.front_end.dim) == (160, 40)
    assert encoder.features([waveform(4_000)], 1)[0].shape == (23, 16)


def test_a_second_stage_has_the_front_end_of_the_first(run, trained, tmp_path):
    run(tmp_path, stage_1=trained[0])
    encoder = encoders.load(tmp_path)
    assert torch.equal(encoder.front_end.std, torch.full((40,), 2.0)) and not encoder.front_end.subtract_loudness


def test_short_utterances_are_left_out(run, tmp_path):
    with pytest.raises(ValueError, match="expected at least one of each, got 0 of 1 for the dev loss"):
        run(tmp_path, data=dict(min_frames=FRONT_END.num_frames(4_000 + 700 * 9)))


def test_every_setting_is_asked_for():
    assert all(p.default is p.empty for p in inspect.signature(pretrain_melhubert).parameters.values())
