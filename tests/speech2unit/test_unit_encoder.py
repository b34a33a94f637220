"""From a waveform to units in one call: the same units as those of the tables, and what is refused."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import speech2unit
from speech2unit import EncodedUnits, UnitEncoder, encode_units
from speech2unit.assign_units import assign_units
from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.extract_features import extract_features
from speech2unit.fit_codebook import fit_codebook
from speech2unit.reduce_units import reduce_units
from speech2unit.schemas import REDUCED_UNITS, UNITS
from storage import provenance, tables
from storage.weights import save_config, save_tensors
from tests.factories import MANIFEST_SETTINGS, corpus_row

SIZES = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(4,))
FORMATS = [("a.wav", 16_000, 1), ("b.flac", 44_100, 2), ("c.wav", 8_000, 1), ("d.wav", 16_000, 1), ("e.flac", 48_000, 1)]
FIT = dict(encoder="toy", layer=1, num_clusters=7, context_frames=2, num_components=5, max_frames_per_corpus=10_000)


def save_encoder(folder, seed):
    torch.manual_seed(seed)
    tensors = MelHuBERTModel(SIZES).state_dict() | dict(mean=torch.full((40,), 8.0), std=torch.full((40,), 3.0))
    save_tensors(folder / "model.safetensors", tensors)
    save_config(folder / "config.json", dict(architecture="melhubert", subtract_loudness=False) | asdict(SIZES))


def run_stage(stage, inputs, **settings):
    """Run a stage as a job that records its inputs, as Snakemake runs it."""
    paths = [path for value in inputs.values() for path in (value if isinstance(value, list) else [value])]
    with provenance.running(job=stage.__name__, stage=stage.__name__, settings={}, inputs=paths):
        stage(**inputs, **settings)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder `results` in which all stages from a corpus to reduced units have run, and the corpus in the folder above."""
    root = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    lines = ["path,split,speaker,label"]
    for i, (name, rate, channels) in enumerate(FORMATS):
        tones = np.sin(2 * np.pi * rng.uniform(100, 3000, (1, channels)) * np.arange(rate + 1234 * i)[:, None] / rate)
        soundfile.write(root / name, 0.2 * tones + rng.normal(0, 0.01, tones.shape), rate)
        lines.append(f"{name},{('train', 'train', 'dev', 'test', 'train')[i]},s{i},x")
    (root / "metadata.csv").write_text("\n".join(lines))
    folder = root / "results"
    encoder = dict(model=folder / "encoders/toy/model.safetensors", config=folder / "encoders/toy/config.json")
    save_encoder(folder / "encoders/toy", seed=0)
    manifest = folder / "manifest.parquet"
    make_manifest(manifest=manifest, rejected=folder / "rejected.parquet", corpus=corpus_row(root), **MANIFEST_SETTINGS)
    features = folder / "features.parquet"
    batches = dict(shard=1, num_shards=1, max_batch_seconds_cpu=0, max_batch_seconds_gpu=0)
    run_stage(extract_features, dict(manifest=manifest, **encoder), features=features, root=root, layer=1, **batches)
    codebook = folder / "units/toy_7"
    outputs = {name: codebook / f"{name}.parquet" for name in ("centroids", "projection")}
    kmeans = dict(num_iterations=3, num_restarts=1, seed=1)
    run_stage(fit_codebook, dict(features=[features]), **outputs, config=codebook / "config.json", **FIT, **kmeans)
    units = codebook / "units.parquet"
    run_stage(assign_units, dict(features=[features], **outputs), units=units, codebook="toy_7", context_frames=2)
    run_stage(reduce_units, dict(units=units), reduced_units=codebook / "reduced_units.parquet")
    return folder


@pytest.fixture(scope="module")
def encoder(results):
    return UnitEncoder.load(results / "units/toy_7")


def stored_units(results):
    """utterance_id → (units, durations, units of the frames) of the tables."""
    frame_units = tables.read(results / "units/toy_7/units.parquet", UNITS).to_pylist()
    reduced_units = tables.read(results / "units/toy_7/reduced_units.parquet", REDUCED_UNITS).to_pylist()
    return {
        reduced["utterance_id"]: (reduced["units"], reduced["durations"], frames["units"])
        for reduced, frames in zip(reduced_units, frame_units)
    }


@pytest.mark.slow
def test_units_of_files_equal_those_of_the_tables(results):
    paths = [results.parent / name for name, *_ in FORMATS]
    num_threads = torch.get_num_threads()
    encoded = encode_units(paths, codebook=results / "units/toy_7")
    assert torch.get_num_threads() == num_threads
    stored = stored_units(results)
    assert len({unit for units, *_ in stored.values() for unit in units}) > 3
    for path, result in zip(paths, encoded, strict=True):
        units, durations, frame_units = stored[path.stem]
        assert result.units.tolist() == units and result.durations.tolist() == durations
        assert result.frame_units.tolist() == frame_units and result.durations.sum() == len(frame_units)
        assert result.frame_seconds == 0.02


def test_units_of_arrays_equal_those_of_their_files(results, encoder):
    stored = stored_units(results)
    for name, *_ in FORMATS:
        samples, sample_rate = soundfile.read(results.parent / name)
        result = encoder.encode((samples, sample_rate))
        assert isinstance(result, EncodedUnits) and result.units.tolist() == stored[Path(name).stem][0]


def test_batches_have_the_units_of_single_waveforms_in_order(encoder):
    rng = np.random.default_rng(0)
    waveforms = [rng.normal(0, 0.1, 16_000 + 3_210 * i).astype(np.float32) for i in (3, 0, 2, 1)]
    batched = UnitEncoder(encoder.encoder, encoder.layer, encoder.project, encoder.centroids, in_batches=True)
    assert len(list(batched._batches([len(w) for w in waveforms]))) == 1
    assert len(list(batched._batches([16_000 * 100, 100, 16_000 * 300]))) == 2
    for alone, together in zip(encoder.encode_waveforms(waveforms), batched.encode_waveforms(waveforms)):
        assert alone.frame_units.tolist() == together.frame_units.tolist()


def test_a_relative_path_of_the_codebook_finds_the_encoder(results, monkeypatch):
    monkeypatch.chdir(results / "units")
    assert UnitEncoder.load("toy_7").num_units == 7


@pytest.mark.parametrize(
    "audio, message",
    [
        ((np.zeros(2000, np.int16), 16_000), r"got int16 \[2000\]; divide 16 bit integers by 32768"),
        ((np.zeros((1, 2, 2000)), 16_000), r"expected a float array \[N\] or \[N, channels\]"),
        ((np.zeros(2000), 16_000), "silent"),
        ((np.full(2000, np.nan), 16_000), "not_finite"),
        ((np.random.default_rng(0).normal(size=300), 16_000), "too_short"),
        ("no_such_file.wav", "missing"),
    ],
)
def test_audio_that_cannot_be_used_is_refused(encoder, audio, message):
    with pytest.raises(ValueError, match=message):
        encoder.encode(audio)


def test_an_unknown_codebook_is_refused_with_the_nearest_name(results):
    with pytest.raises(ValueError, match=r'toy_8: the folder of a codebook has config.json, .* did you mean "toy_7"\?'):
        encode_units(results.parent / "a.wav", codebook=results / "units/toy_8")


def test_an_encoder_that_was_trained_again_is_refused(results):
    save_encoder(results / "encoders/toy", seed=1)
    try:
        with pytest.raises(ValueError, match="must be the one that the codebook toy_7 was fitted on; .* fit the codebook again"):
            UnitEncoder.load(results / "units/toy_7")
    finally:
        save_encoder(results / "encoders/toy", seed=0)
    UnitEncoder.load(results / "units/toy_7")


def test_a_damaged_codebook_is_refused(results):
    path = results / "units/toy_7/centroids.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    try:
        with pytest.raises(ValueError, match="centroids.parquet: a result must be what its stage wrote"):
            UnitEncoder.load(results / "units/toy_7")
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
def test_importing_the_package_does_not_import_torch():
    code = "import sys, speech2unit, speech2unit.schemas; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(PYTHONPATH=str(Path(__file__).parents[2])))


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="module 'speech2unit' has no attribute 'encode'"):
        _ = speech2unit.encode
