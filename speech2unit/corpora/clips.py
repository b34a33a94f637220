"""Build a new corpus from the clips of another one: read and group clips, join them with pauses, write audio and metadata.

`concatenate_clips`, `concatenate_slots` and `mix_speakers` share these functions.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas
import soundfile

from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.files import atomic, atomic_folder
from storage.schemas import SPLITS


class Utterance(NamedTuple):
    """An utterance of the new corpus, before it is written."""

    waveform: np.ndarray  # float32 `[N]`
    sample_rate: int  # Hz
    speakers: list  # names of its speakers, without repetitions
    labels: list  # the sequence of its labels


def read_clips(manifest, root):
    """Return the rows of a manifest, without copies at other speeds.

    Args:
        manifest: path of the manifest.
        root: root folder of the corpus. It is added to every row as `root`, so that rows of several corpora can be mixed.

    Returns:
        A dict from each split to its rows.
    """
    rows = [dict(row, root=root) for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    return {split: [row for row in rows if row["split"] == split] for split in SPLITS}


def group_by_speaker(rows):
    """Return a dict from each speaker to the speaker's rows. Rows without a speaker are left out.

    Speakers are in the order of their names, and rows in the order of their utterance_id.
    """
    rows_of = {}
    for row in sorted(rows, key=lambda row: row["utterance_id"]):
        rows_of.setdefault(row["speaker"], []).append(row)
    return {speaker: rows_of[speaker] for speaker in sorted(rows_of.keys() - {None})}


def draw_clips(clips, num_clips, rng):
    """Return `num_clips` of the rows `clips`, drawn with replacement."""
    return [clips[i] for i in rng.integers(len(clips), size=num_clips)]


def draw_between(limits, rng):
    """Return a random whole number from `limits`, which is [lowest, highest]."""
    return rng.integers(limits[0], limits[1] + 1)


def join_clips(clips, *, sample_rate, pauses, rng):
    """Read the audio of some clips, and join it.

    Args:
        clips: rows of `read_clips`.
        sample_rate, pauses, rng: as for `join_waveforms`.

    Returns:
        float32 waveform `[N]`.
    """
    waveforms = [read_utterance(Path(clip["root"]) / clip["path"], clip, sample_rate=sample_rate) for clip in clips]
    return join_waveforms(waveforms, sample_rate=sample_rate, pauses=pauses, rng=rng)


def join_waveforms(waveforms, *, sample_rate, pauses, rng):
    """Join waveforms `[N]` into one float32 waveform, with pauses between them.

    Pauses hold white noise, because no recording has digital silence.

    Args:
        waveforms: list of waveforms.
        sample_rate: their rate in Hz.
        pauses: dict with `seconds`, the [shortest, longest] pause, and `snr_db`, the level of the noise in dB below the mean
            power of the waveforms.
        rng: `numpy.random.Generator` that draws the lengths and the noise.
    """
    noise_level = np.sqrt(np.mean(np.concatenate(waveforms) ** 2)) * 10 ** (-pauses["snr_db"] / 20)
    parts = [waveforms[0]]
    for waveform in waveforms[1:]:
        length = round(rng.uniform(*pauses["seconds"]) * sample_rate)
        parts += [rng.normal(0, noise_level, length), waveform]
    return np.clip(np.concatenate(parts), -1, 1).astype(np.float32)


def write_corpus(audio, metadata, make_utterances, *, label_column, seed):
    """Write the audio of a corpus (mono, 16 bit), and its metadata for the adapter `table`.

    Args:
        audio: folder to write, with files such as `train/00000.flac`.
        metadata: CSV file to write, with columns path, split, speaker and `label_column`.
        make_utterances: function that takes a split and a `numpy.random.Generator` and returns an iterator over `Utterance`s.
        label_column: name of the column whose cells hold label sequences.
        seed: seed. Every split has its own generator, made from `seed` and the number of the split.
    """
    metadata = Path(metadata)
    audio = Path(audio)
    rows = []
    with atomic_folder(audio) as folder:
        for split_number, split in enumerate(SPLITS):
            (folder / split).mkdir()
            rng = np.random.default_rng([seed, split_number])
            for index, utterance in enumerate(make_utterances(split, rng)):
                name = Path(split, f"{index:05d}.flac")
                soundfile.write(folder / name, utterance.waveform, utterance.sample_rate, subtype="PCM_16")
                row = dict(path=(audio / name).relative_to(metadata.parent).as_posix(), split=split)
                rows.append(row | {"speaker": "+".join(utterance.speakers), label_column: " ".join(utterance.labels)})
    with atomic(metadata) as temporary:
        pandas.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
