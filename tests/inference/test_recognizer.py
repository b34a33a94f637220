"""`Recognizer` on a bundle with random weights: inputs, batches, errors, seeds."""

import io
import json

import numpy as np
import pytest
import soundfile
import torch

from benchmarks.random_bundle import write_random_bundle
from inference import Recognizer
from inference.bundle_files import read_bundle
from speech2unit.corpora.audio import BadAudio

RATE = 16_000
SIZES = dict(
    encoder=dict(num_layers=1, dim=16, ffn_dim=24, num_heads=2, conv_kernel=9, conv_groups=4),
    unit_lm=dict(num_layers=2, dim=16, ffn_dim=24, num_heads=2),
    num_units=12,
    num_labels=4,
    prompt_length=2,
    seeds=(1, 2),
)
CLOSE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bundle") / "bundle"
    write_random_bundle(made, **SIZES)
    return made


@pytest.fixture(scope="module")
def recognizer(folder):
    return Recognizer.load(folder, device="cpu")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Paths of noises of 0.3 to 1 s."""
    made = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    paths = []
    for number, seconds in enumerate((1.0, 0.3, 0.7, 0.5)):
        path = made / f"noise{number}.wav"
        soundfile.write(path, 0.2 * rng.standard_normal(int(seconds * RATE)), RATE)
        paths.append(path)
    return paths


def same(first, second):
    """Whether two recognitions are equal but for the last bits of their scores."""
    scores = np.allclose(
        [first.score, *(a.score for a in first.n_best)], [second.score, *(a.score for a in second.n_best)], atol=CLOSE
    )
    return (first.labels, first.free_units, first.units.tolist()) == (
        second.labels,
        second.free_units,
        second.units.tolist(),
    ) and scores


@pytest.mark.slow
def test_a_path_an_array_a_file_object_and_another_format_give_the_same(recognizer, recordings, tmp_path):
    expected = recognizer(recordings[0])
    samples, rate = soundfile.read(recordings[0])
    soundfile.write(tmp_path / "a.flac", samples, rate)
    inputs = [
        str(recordings[0]),
        (samples, rate),
        (np.stack([samples, samples], 1), rate),
        io.BytesIO(recordings[0].read_bytes()),
    ]
    with open(tmp_path / "a.flac", "rb") as file:
        assert all(same(expected, recognizer(item)) for item in (*inputs, tmp_path / "a.flac", file))


def test_batches_change_nothing_but_last_bits(recognizer, recordings):
    alone = [recognizer(path) for path in recordings]
    assert all(same(one, batched) for one, batched in zip(alone, recognizer(recordings, batch_size=3)))
    assert list(recognizer.stream([])) == [] and recognizer([]) == []


def test_the_n_best_are_all_answers_in_order_and_their_probabilities_sum_to_1(recognizer, recordings):
    result = recognizer(recordings[0], num_best=10)
    scores = [answer.score for answer in result.n_best]
    assert scores == sorted(scores, reverse=True) and {answer.label for answer in result.n_best} == set(recognizer.labels)
    assert sum(answer.probability for answer in result.n_best) == pytest.approx(1)
    assert result.n_best[0].labels == result.labels and result.n_best[0].score == pytest.approx(result.score, abs=CLOSE)
    assert recognizer(recordings[0], num_best=2).n_best[1].label == result.n_best[1].label


def test_units_have_times(recognizer, recordings):
    result = recognizer(recordings[2])
    assert result.seconds == 0.7 and result.frame_seconds == 0.02 and result.durations.sum() == 34
    assert result.starts.tolist() == pytest.approx([0, *np.cumsum(result.durations)[:-1] * 0.02])
    json.dumps(result.to_dict(), allow_nan=False)


def test_every_seed_has_its_prompt(folder, recordings, recognizer):
    other = Recognizer.load(folder, seed=2)
    assert recognizer.seed == 1 and other(recordings[0]).score != recognizer(recordings[0]).score
    with pytest.raises(ValueError, match=r"the bundle must have the seed; expected one of \[1, 2\], got 3"):
        Recognizer.load(folder, seed=3)


def test_unusable_inputs_are_errors_in_place_and_the_others_are_labelled(recognizer, recordings, tmp_path):
    (tmp_path / "page.wav").write_text("<html>")
    soundfile.write(tmp_path / "short.wav", np.array([0.1, -0.1] * 9), RATE)
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    silent = np.zeros(RATE, np.float32)
    with_nan = np.array([0.1, np.nan] * RATE, np.float32)
    files = [tmp_path / name for name in ("page.wav", "short.wav", "silence.wav", "absent.wav")]
    inputs = [recordings[0], *files, (silent, RATE), (with_nan, RATE), (with_nan, 7), io.BytesIO(b""), recordings[1]]
    results = list(recognizer.stream(inputs, batch_size=4))
    reasons = [result.reason if isinstance(result, BadAudio) else "" for result in results]
    expected = ["", "not_audio", "too_short", "silent", "missing", "silent", "not_finite", "bad_rate", "not_audio", ""]
    assert reasons == expected
    assert same(results[0], recognizer(recordings[0])) and same(results[-1], recognizer(recordings[1]))
    with pytest.raises(BadAudio, match="page.wav: the file must be audio"):
        recognizer(inputs)
    with pytest.raises(ValueError, match=r"got ndarray; for an array, pass \(array, sample_rate\)"):
        recognizer(np.zeros(RATE, np.float32))
    with pytest.raises(ValueError, match="samples are floats between -1 and 1.*divide 16 bit integers by 32768"):
        recognizer((np.ones(RATE, np.int16), RATE))


def test_a_recording_that_is_too_long_has_a_reason(recognizer, recordings, monkeypatch):
    monkeypatch.setattr(recognizer.model, "max_units", 3)
    with pytest.raises(BadAudio, match="units, at most 3: cut the recording into utterances"):
        recognizer(recordings[0])


def test_the_length_is_checked_before_anything_is_computed(recognizer, recordings, monkeypatch):
    monkeypatch.setattr(type(recognizer.model), "max_seconds", 0.6)
    results = list(recognizer.stream(recordings))
    reasons = [result.reason if isinstance(result, BadAudio) else "" for result in results]
    assert reasons == ["too_long", "", "too_long", ""] and "1 s, at most 0.6: cut" in str(results[0])


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "add", "list"])
def test_a_changed_bundle_is_refused(tmp_path, damage):
    folder = tmp_path / "bundle"
    write_random_bundle(folder, **SIZES)
    read_bundle(folder)
    model = folder / "unit_lm/model.safetensors"
    if damage == "flip":
        content = bytearray(model.read_bytes())
        content[-3] ^= 16
        model.write_bytes(content)
    elif damage == "cut":
        model.write_bytes(model.read_bytes()[:-4])
    elif damage == "remove":
        model.unlink()
    elif damage == "add":
        (folder / "extra.py").write_text("")
    else:
        (folder / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match="a bundle must have the files of its SHA256SUMS, unchanged"):
        Recognizer.load(folder)


def test_a_folder_that_is_no_bundle_and_another_version_have_clear_errors(tmp_path):
    with pytest.raises(ValueError, match="a bundle is a folder with bundle.json.*make the bundle: snakemake"):
        Recognizer.load(tmp_path)
    write_random_bundle(tmp_path / "bundle", **SIZES)
    path = tmp_path / "bundle/bundle.json"
    old = path.read_bytes()
    path.write_bytes(old.replace(b'"format": 1', b'"format": 9'))
    sums = tmp_path / "bundle/SHA256SUMS"
    import hashlib

    sums.write_text(sums.read_text().replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(ValueError, match="expected format 1, got format 9; make the bundle again"):
        Recognizer.load(tmp_path / "bundle")


def test_the_threads_of_the_caller_stay_as_they_are(recognizer, recordings):
    before = torch.get_num_threads()
    recognizer(recordings[0])
    assert torch.get_num_threads() == before
