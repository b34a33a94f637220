import threading
from concurrent.futures import ThreadPoolExecutor
from math import log
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from inference.page_labelling import Labelling, describe
from inference.page_recordings import Recordings
from inference.recognition import Answer, Recognition
from speech2unit.corpora.audio import read_audio

RATE = 16_000
METRIC = dict(metric="accuracy", value=0.5, value_low=0.4, value_high=0.6)


class LengthRecognizer:
    """Answers with the length of a recording in tenths of a second."""

    task = "LENGTH"
    input_kind = "audio"

    def __init__(self, labels=("5", "10")):
        self.labels = list(labels)
        self.description = dict(task="LENGTH", corpus="lengths", num_test_rows=7, metrics=[METRIC])
        self.calls = 0
        self.is_busy = False

    def __call__(self, path):
        assert not self.is_busy, "a recognizer is used by one thread at a time"
        self.is_busy = True
        self.calls += 1
        waveform, _ = read_audio(path, sample_rate=RATE)
        label = str(round(10 * len(waveform) / RATE))
        self.is_busy = False
        n_best = (Answer((label,), log(0.75)), Answer(("other",), log(0.25)))
        return Recognition(
            (label,), log(0.75), n_best, units=np.array([1, 2]), durations=np.array([3, 4]), frame_seconds=0.02,
            seconds=len(waveform) / RATE,
        )  # fmt: skip


def write(path, seconds, rate=RATE, subtype="PCM_16", samples=None):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * rate)) if samples is None else samples
    soundfile.write(path, samples, rate, subtype=subtype)
    return str(path)


@pytest.fixture
def labelling(tmp_path):
    return Labelling(dict(A=LengthRecognizer(), B=LengthRecognizer(("10", "20"))), recordings=Recordings(tmp_path / "kept"))


def test_a_recording_is_labelled_by_the_chosen_bundles(labelling, tmp_path):
    path = write(tmp_path / "a.wav", 0.5)
    shown = labelling.recognize(path, ["A", "B"])
    assert shown.label == "5"
    assert "0.50 s at 16,000 Hz." in shown.message
    assert "A: 5, 75.0 %; B: 5, 75.0 %" in shown.message
    assert shown.answers.count('class="answer"') == 2
    assert shown.drawing.count('class="panel units"') == 2
    assert labelling.recognize(path, ["B"]).answers.count('class="answer"') == 1


def test_labels_of_all_bundles_can_be_chosen(labelling):
    assert labelling.labels == ["5", "10", "20"]


def test_without_a_recording_nothing_is_shown(labelling):
    assert labelling.recognize(None, ["A"]).message == ""
    assert "Choose at least one bundle" in labelling.recognize("a.wav", []).message


BAD = {
    "not_audio": (lambda path: path.write_bytes(b"%PDF-1.4 " * 100), "no audio file of a known format"),
    "empty": (lambda path: path.write_bytes(b""), "no audio file of a known format"),
    "one sample": (lambda path: write(path, 0, samples=np.array([0.1])), "too short"),
    "two samples": (lambda path: write(path, 0, samples=np.array([0.1, 0.2])), "too short"),
    "not a number": (lambda path: write(path, 0, samples=np.full(RATE, np.nan), subtype="FLOAT"), "no numbers"),
    "infinity": (lambda path: write(path, 0, samples=np.array([0, np.inf] * RATE), subtype="FLOAT"), "no numbers"),
    "silent": (lambda path: write(path, 0, samples=np.zeros(RATE)), "silent"),
    "an hour": (lambda path: write(path, 0, rate=8000, samples=np.zeros(3600 * 8000, np.int16)), "too long"),
    "no samples": (lambda path: write(path, 0, samples=np.zeros(0)), "no audio in it"),
    "cut off": (lambda path: _cut(write(path, 1)), "cut off"),
    "a folder": (lambda path: path.mkdir(), "cannot be read"),
    "gone": (lambda path: None, "no longer here"),
}


def _cut(path):
    with open(path, "r+b") as file:
        file.truncate(1000)


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_recording_gives_a_sentence_and_the_next_one_an_answer(labelling, tmp_path, name):
    make, text = BAD[name]
    make(tmp_path / "bad.wav")
    shown = labelling.recognize(str(tmp_path / "bad.wav"), ["A"])
    assert text in shown.message
    assert 'role="alert"' in shown.message
    assert (shown.answers, shown.drawing, shown.label) == ("", "", None)
    assert text in labelling.keep(str(tmp_path / "bad.wav"), "yes", "anna", "train")
    assert not (tmp_path / "kept/metadata.csv").exists()
    assert labelling.recognize(write(tmp_path / "good.wav", 0.5), ["A"]).label == "5"


def test_an_unexpected_error_gives_a_sentence_and_the_next_one_an_answer(labelling, tmp_path, capsys):
    path = write(tmp_path / "a.wav", 0.5)
    labelling.recognizers["A"].is_busy = True  # an assertion fails
    assert "could not be labelled" in labelling.recognize(path, ["A"]).message
    assert "AssertionError" in capsys.readouterr().err
    labelling.recognizers["A"].is_busy = False
    assert labelling.recognize(path, ["A"]).label == "5"


@pytest.mark.slow
def test_ten_clients_at_once_get_their_own_answers(labelling, tmp_path):
    paths = [write(tmp_path / f"{i}.wav", i / 10) for i in range(1, 11)]
    barrier = threading.Barrier(10)

    def client(number):
        barrier.wait()
        return [labelling.recognize(paths[number - 1], ["A", "B"]).label for _ in range(3)]

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(client, range(1, 11))) == [[str(number)] * 3 for number in range(1, 11)]


def test_a_recording_is_kept_with_its_corrected_label(labelling, tmp_path):
    path = write(tmp_path / "a.wav", 0.5, rate=44_100)
    assert "Kept: " in labelling.keep(path, "yes", "anna", "train")
    text = labelling.keep(path, "no", "anna", "train")
    assert "Corrected: " in text and "1 train, 0 dev, 0 test" in text
    assert "“no”" in text


def test_a_speaker_in_two_splits_is_told_at_once(labelling, tmp_path):
    labelling.keep(write(tmp_path / "a.wav", 0.5), "yes", "anna", "train")
    assert "also in train" in labelling.keep(write(tmp_path / "b.wav", 0.6), "yes", "anna", "dev")


@pytest.mark.parametrize("label, speaker", [("", "anna"), ("yes", ""), (None, "anna"), ("yes", "\x1b")])
def test_a_missing_text_is_named(labelling, tmp_path, label, speaker):
    text = labelling.keep(write(tmp_path / "a.wav", 0.5), label, speaker, "train")
    assert f"fill in the {'label' if speaker == 'anna' else 'speaker'}" in text


def test_nothing_is_kept_without_a_recording(labelling):
    assert "Record or upload something first" in labelling.keep(None, "yes", "anna", "train")


def test_the_text_of_an_error_is_no_html(labelling, tmp_path):
    path = tmp_path / "kept"
    path.mkdir()
    (path / "metadata.csv").write_text("<img>,label\n")
    assert "<img" not in labelling.keep(write(tmp_path / "a.wav", 0.5), "<b>", "anna", "train")


def test_a_bundle_is_described_in_one_sentence():
    expected = "LENGTH: trained on lengths, 2 labels, accuracy 0.500 [0.400, 0.600] on 7 test rows."
    assert describe("LENGTH", LengthRecognizer()) == expected


def test_bundles_that_take_units_are_refused(monkeypatch):
    import inference.recognizer

    monkeypatch.setattr(inference.recognizer.Recognizer, "load", lambda *_: SimpleNamespace(input_kind="units", task="A"))
    with pytest.raises(ValueError, match="takes audio"):
        Labelling.load(["a"])


def test_two_bundles_of_one_task_have_different_names(monkeypatch):
    import inference.recognizer

    monkeypatch.setattr(inference.recognizer.Recognizer, "load", lambda *_: LengthRecognizer())
    labelling = Labelling.load(["one", "two", "three"])
    assert list(labelling.recognizers) == ["LENGTH", "LENGTH (two)", "LENGTH (three)"]
