"""Recordings that a user of the page keeps: WAV files and a metadata.csv that the adapter `table` reads.

recordings/metadata.csv          path,split,speaker,label
recordings/audio/0f3a….wav       named by a hash of its samples, so that a recording that is kept again gets a corrected label
"""

import contextlib
import csv
import fcntl
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from storage.errors import data_error, one_of
from storage.files import atomic
from storage.schemas import SPLITS

METADATA = "metadata.csv"
COLUMNS = ("path", "split", "speaker", "label")
LOCK = ".metadata.lock"
MAX_TEXT_LENGTH = 200  # characters of a label or of the name of a speaker
HASH_DIGITS = 16  # of a file name
FULL_SCALE = 32768  # of 16 bit samples


class Kept(NamedTuple):
    """What `Recordings.keep` did."""

    path: str  # of the recording, relative to the folder
    is_new: bool  # False: the row of the same recording is replaced
    rows_per_split: Counter  # number of all recordings in each split
    other_splits: list  # splits besides this one that have recordings of the same speaker


class Recordings:
    """A folder of recordings that grows. Several threads and processes may use one folder at a time."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def keep(self, samples, sample_rate, audio_hash, *, label, speaker, split):
        """Keep a recording with its label, or correct the row of a recording that was kept before.

        Args:
            samples: float32 mono array `[N]`.
            sample_rate: its rate in Hz.
            audio_hash: hash of the samples, see `AudioInfo`.
            label: what the task is to predict; a sequence has blanks between its symbols.
            speaker: who speaks.
            split: train, dev or test.

        Returns:
            What was done, as `Kept`.

        Raises:
            ValueError: if a text is empty or unusable, metadata.csv is not as expected, or the disk is full or not writable.
        """
        if split not in SPLITS:
            raise data_error(
                "split", "it has a known name", expected=one_of(split, SPLITS), got=f"'{split}'", remedy="choose one"
            )
        path = f"audio/{audio_hash[:HASH_DIGITS]}.wav"
        row = dict(path=path, split=split, speaker=clean_text(speaker, "speaker"), label=clean_text(label, "label"))
        with self._locked():
            columns, rows = self._read()
            if not (self.folder / path).exists():
                _write_wav(self.folder / path, samples, sample_rate)
            is_new = _put(rows, row)
            self._write(columns, rows)
        splits = {other["split"] for other in rows if other["speaker"] == row["speaker"]}
        return Kept(path, is_new, Counter(other["split"] for other in rows), sorted(splits - {split}))

    def split_of(self, speaker):
        """Return the split of the speaker's last recording; None if there is none yet."""
        _, rows = self._read()
        return next((row["split"] for row in reversed(rows) if row["speaker"] == " ".join(speaker.split())), None)

    @contextlib.contextmanager
    def _locked(self):
        """Wait until no other thread or process writes to the folder, and keep them out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self):
        """Return the names of the columns and the rows of metadata.csv. Raises `ValueError` if it is not as expected."""
        path = self.folder / METADATA
        if not path.exists():
            return COLUMNS, []
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            try:
                rows = list(reader)
            except (csv.Error, UnicodeDecodeError) as error:
                raise _bad_metadata(path, f"{error}") from error
            columns = reader.fieldnames or COLUMNS
        missing = [name for name in COLUMNS if name not in columns]
        ragged = [number for number, row in enumerate(rows, 2) if None in row or None in row.values()]
        if missing or ragged:
            raise _bad_metadata(path, f"no column '{missing[0]}'" if missing else f"row {ragged[0]} with more or fewer cells")
        return columns, rows

    def _write(self, columns, rows):
        with atomic(self.folder / METADATA) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def clean_text(text, name):
    """Return a label or a speaker's name without blanks around it, and with one blank where there are several.

    Raises:
        ValueError: if nothing is left, or it is too long or has characters that cannot be printed.
    """
    words = " ".join((text or "").split())
    if not words or len(words) > MAX_TEXT_LENGTH or not words.isprintable():
        raise data_error(
            name,
            "a recording is kept with a speaker and a label",
            expected=f"1 to {MAX_TEXT_LENGTH} characters that can be printed",
            got=f"{len(words)} characters" if words else "nothing",
            remedy=f"fill in the {name}",
        )
    return words


def _put(rows, row):
    """Replace the row with the same path, or append it. Cells of other columns remain. Returns whether the row is new."""
    for position, other in enumerate(rows):
        if other["path"] == row["path"]:
            rows[position] = other | row
            return False
    rows.append(row)
    return True


def _write_wav(path, samples, sample_rate):
    """Write a mono WAV file atomically: of 16 bit integers if this changes no sample, else of 32 bit floats."""
    scaled = samples * FULL_SCALE
    is_16_bit = np.array_equal(scaled, np.round(scaled)) and scaled.min() >= -FULL_SCALE and scaled.max() < FULL_SCALE
    with atomic(path) as temporary:
        if is_16_bit:
            soundfile.write(temporary, scaled.astype(np.int16), sample_rate, format="WAV", subtype="PCM_16")
        else:
            soundfile.write(temporary, samples, sample_rate, format="WAV", subtype="FLOAT")


def _bad_metadata(path, problem):
    return data_error(
        path,
        "the table of the kept recordings must be readable",
        expected=f"a CSV file (UTF-8) with the columns {', '.join(COLUMNS)}",
        got=problem,
        remedy="correct the file, or keep the recordings in another folder: --keep FOLDER",
    )
