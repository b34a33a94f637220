"""What the page does, without the library that shows it: label, keep, list examples. All texts for the user are made here."""

import random
import threading
import traceback
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from inference.page_drawing import UnitStrip, draw_answers, draw_recording, percent
from inference.page_examples import Examples, find_manifest
from inference.page_recordings import Recordings
from inference.page_uploads import MAX_SECONDS, check_upload, sentence
from speech2unit.corpora.audio import BadAudio, decode, read_audio
from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ
from storage.errors import data_error
from storage.schemas import SPLITS

NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Shown:
    """What the page shows after a recording."""

    message: str  # HTML: what went wrong, or what was recognized, for screen readers too
    answers: str = ""  # HTML
    drawing: str = ""  # HTML
    label: str | None = None  # the answer of the first bundle; None if there is none


class Labelling:
    """Bundles, a folder of kept recordings, and a corpus to listen to. All methods may be called by several threads."""

    def __init__(self, recognizers, *, recordings=None, examples=None, max_seconds=MAX_SECONDS):
        """Take what the page works with.

        Args:
            recognizers: name → `Recognizer`.
            recordings: `Recordings`, or None if none are to be kept.
            examples: `Examples`, or None.
            max_seconds: longest recording in s.
        """
        self.recognizers = recognizers
        self.recordings = recordings
        self.examples = examples
        self.max_seconds = max_seconds
        self._locks = {name: threading.Lock() for name in recognizers}

    @classmethod
    def load(cls, bundles, *, corpus=None, root=None, keep=None, device=None, max_seconds=MAX_SECONDS):
        """Load everything; arguments and errors as `inference.page.serve`."""
        from inference.recognizer import Recognizer

        recognizers = {}
        for folder in bundles:
            recognizer = Recognizer.load(folder, device)
            if recognizer.input_kind != "audio":
                raise data_error(
                    folder,
                    "the page needs a bundle that takes audio",
                    expected="input_kind 'audio'",
                    got=f"'{recognizer.input_kind}'",
                    remedy="leave this bundle out; `python -m inference label` takes units",
                )
            name = recognizer.task
            recognizers[name if name not in recognizers else f"{name} ({folder})"] = recognizer
        first = next(iter(recognizers.values()))
        manifest = corpus or find_manifest(first.description["corpus"])
        return cls(
            recognizers,
            recordings=Recordings(keep) if keep else None,
            examples=Examples(manifest, root) if manifest else None,
            max_seconds=max_seconds,
        )

    @property
    def labels(self):
        """All labels of all bundles, in order and without repetitions."""
        return list(dict.fromkeys(label for recognizer in self.recognizers.values() for label in recognizer.labels))

    def recognize(self, path, names):
        """Return a `Shown` for a recording.

        Args:
            path: the file; None: there is no recording.
            names: names of the bundles that answer.
        """
        if path is None:
            return Shown("")
        if not names:
            return Shown(error_message("Choose at least one bundle."))
        try:
            check_upload(path, self.max_seconds)
            waveform, info = read_audio(path, sample_rate=SAMPLE_RATE_HZ)
            recognitions = {name: self._recognize(name, path) for name in names if name in self.recognizers}
        except BadAudio as error:
            return Shown(error_message(sentence(error)))
        except Exception:  # whatever the recording does to a decoder or a model, the page must live on
            traceback.print_exc()
            return Shown(error_message("This recording could not be labelled. The terminal of the page says why."))
        strips = [_unit_strip(name, recognition) for name, recognition in recognitions.items() if len(recognition.units)]
        first = next(iter(recognitions.values()))
        return Shown(
            _summary(recognitions, info),
            draw_answers(recognitions),
            draw_recording(waveform, SAMPLE_RATE_HZ, strips),
            first.label,
        )

    def _recognize(self, name, path):
        """Return the `Recognition` of one bundle; one recording at a time, because models share the cores anyway."""
        with self._locks[name]:
            return self.recognizers[name](path)

    def keep(self, path, label, speaker, split):
        """Keep a recording; return HTML that says what was done or what went wrong. Arguments as `Recordings.keep`."""
        if path is None:
            return error_message("Record or upload something first.")
        try:
            check_upload(path, self.max_seconds)
            samples, info = decode(path)
            kept = self.recordings.keep(samples, info.sample_rate, info.audio_hash, label=label, speaker=speaker, split=split)
        except BadAudio as error:
            return error_message(sentence(error))
        except (ValueError, OSError) as error:
            return error_message(str(error))
        return message(_kept(kept, self.recordings.folder, label, speaker, split))

    def split_of(self, speaker):
        """Return the split of the speaker's last recording; None if there is none, or the table cannot be read."""
        try:
            return self.recordings.split_of(speaker)
        except (ValueError, OSError):
            return None

    def choose_examples(self, label, folder, seed=None):
        """Return up to `NUM_EXAMPLES` `Example`s of a label, copied to a folder, and HTML that says what they are."""
        if not label:
            return [], error_message("Choose a label.")
        rows = self.examples.choose(label, NUM_EXAMPLES, random.random() if seed is None else seed)
        if not rows:
            return [], error_message(f"No training example has the label “{label}”.")
        try:
            return [self.examples.copy(row, folder) for row in rows], message("")
        except BadAudio as error:
            return [], error_message(sentence(error))


def message(text):
    """Return a text as HTML that screen readers read out."""
    return f'<p role="status">{escape(text)}</p>' if text else ""


def error_message(text):
    """Return the text of an error as HTML that screen readers read out at once."""
    return f'<p role="alert" class="error">{escape(text)}</p>'


def describe(name, recognizer):
    """Return what a bundle is, as one sentence: its corpus and its first metric with the 95 % interval."""
    description = recognizer.description
    metric = description["metrics"][0]
    interval = ""
    if metric.get("value_low") is not None:
        interval = f" [{metric['value_low']:.3f}, {metric['value_high']:.3f}]"
    measured = f"{metric['metric']} {metric['value']:.3f}{interval} on {description['num_test_rows']} test rows"
    return f"{name}: trained on {description['corpus']}, {len(recognizer.labels)} labels, {measured}."


def _unit_strip(name, recognition):
    seconds = np.asarray(recognition.durations) * recognition.frame_seconds
    return UnitStrip(name, recognition.units, recognition.starts, seconds)


def _summary(recognitions, info):
    """Return one line on the recording and its answers, which screen readers read out."""
    parts = []
    for name, recognition in recognitions.items():
        probability = "" if recognition.probability is None else f", {percent(recognition.probability)}"
        parts.append(f"{name}: {recognition.label or 'an empty sequence'}{probability}")
    seconds = next(iter(recognitions.values())).seconds
    clipped = " The recording is clipped: speak more softly, or further from the microphone." if info.clipped else ""
    answers = f'<span class="for-screen-readers">{escape("; ".join(parts))}</span>'
    return f'<p role="status">{seconds:.2f} s at {info.sample_rate:,} Hz.{clipped}{answers}</p>'


def _kept(kept, folder, label, speaker, split):
    """Return sentences on what was kept."""
    counts = ", ".join(f"{kept.rows_per_split[name]} {name}" for name in SPLITS)
    done = "Kept" if kept.is_new else "Corrected"
    text = f"{done}: {Path(folder) / kept.path}, “{label.strip()}” by {speaker.strip()}, {split}. The folder has {counts}."
    if kept.other_splits:
        text += (
            f" This speaker is also in {' and '.join(kept.other_splits)}: the pipeline refuses that, unless "
            "`allow_overlap` of the corpus is speaker."
        )
    return text
