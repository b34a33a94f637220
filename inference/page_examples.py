"""Training examples of a class, to be heard on the page."""

import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import soundfile

from speech2unit.corpora.audio import decode, segment_times
from speech2unit.corpora.schemas import MANIFEST
from storage import provenance, tables
from storage.errors import data_error
from storage.provenance import RESULTS, result_name


class Example(NamedTuple):
    """A training recording, copied to a file that the browser may read."""

    file: Path
    name: str  # utterance_id
    speaker: str  # empty if unknown


class Examples:
    """The training recordings of a corpus by their labels."""

    def __init__(self, manifest, root=None):
        """Read a manifest.

        Args:
            manifest: table of `MANIFEST`, such as `results/corpora/commands/manifest.parquet`.
            root: folder of the audio files; None: the folder that the manifest was made from.

        Raises:
            ValueError: if the manifest cannot be read, or the folder is not there.
        """
        rows = tables.read(manifest, MANIFEST).to_pylist()
        self.root = Path(root or root_of(manifest))
        self.rows = [row for row in rows if row["split"] == "train" and row["speed"] == 1 and row["path"]]
        if not self.root.is_dir():
            raise data_error(
                manifest,
                "the recordings of the corpus must be there to be heard",
                expected="the folder of the corpus",
                got=f"no folder {self.root}",
                remedy="name the folder with --root, or start the page without --corpus",
            )

    def choose(self, label, number, seed):
        """Return rows of a label, drawn at random: of as many speakers as possible.

        Args:
            label: a label, or several with blanks between them.
            number: largest number of rows.
            seed: seed of the drawing.
        """
        rows = [row for row in self.rows if label in (*row["labels"], " ".join(row["labels"]))]
        random.Random(seed).shuffle(rows)
        times_seen = Counter()
        num_earlier = {}  # utterance_id → how many rows before it are of the same speaker
        for row in rows:
            num_earlier[row["utterance_id"]] = times_seen[row["speaker"]]
            times_seen[row["speaker"]] += 1
        return sorted(rows, key=lambda row: num_earlier[row["utterance_id"]])[:number]

    def copy(self, row, folder):
        """Copy the recording of a row to a folder, as WAV.

        Returns:
            An `Example`.

        Raises:
            BadAudio: if the recording is no longer usable.
        """
        samples, info = decode(self.root / row["path"], **segment_times(row))
        file = Path(folder) / f"{info.audio_hash}.wav"
        soundfile.write(file, samples, info.sample_rate)
        return Example(file, row["utterance_id"], row["speaker"] or "")


def find_manifest(corpus):
    """Return the manifest of a corpus of the project in the current folder; None if there is none."""
    path = Path(RESULTS, "corpora", corpus, "manifest.parquet")
    return path if path.is_file() else None


def root_of(manifest):
    """Return the root folder of a corpus from the record in its manifest. A relative one is relative to the project."""
    root = provenance.read(manifest).get("settings", {}).get("corpus", {}).get("root", "")
    if not root:
        return Path(manifest).parent
    manifest = Path(manifest).absolute()
    num_parts = len(Path(result_name(manifest)).parts)  # from the folder of the results on
    return Path(*manifest.parts[:-num_parts], root)
