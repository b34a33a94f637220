"""Strings of clips: clips of one speaker one after another with pauses between, labelled with all their labels, in order.

A sequence task on real speech out of a corpus of single words: `3 7 1` from three clips. Splits and speakers stay.
"""

from pathlib import Path

import numpy as np
import pandas
import soundfile

from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.errors import data_error
from storage.files import atomic, atomic_folder
from storage.schemas import SPLITS


def check_clips(rows):
    """Raises `ValueError` unless every row of `MANIFEST` has one label, which is one word, and a speaker."""
    for row in rows:
        if len(row["labels"]) != 1 or len(row["labels"][0].split()) != 1 or row["speaker"] is None:
            raise data_error(
                "concatenate_clips",
                "a clip has one label of one word, and a speaker",
                expected="such as ['3'] of speaker lucas",
                got=f"{row['labels']} of speaker {row['speaker']} ({row['utterance_id']})",
                remedy="make strings of another corpus, or name its label and speaker columns in config/corpora.tsv",
            )


def by_speaker(rows):
    """A list of rows for each speaker, in order of names."""
    found = {}
    for row in sorted(rows, key=lambda row: (row["speaker"], row["utterance_id"])):
        found.setdefault(row["speaker"], []).append(row)
    return list(found.values())


def draw_strings(rows, *, num_clips, num_parts, rng):
    """Lists of rows, `num_clips` of them: each of one speaker, of `num_parts` = [fewest, most] clips drawn with replacement.

    The speakers take turns. rows: those of one split.
    """
    turns = by_speaker(rows)
    for number in range(num_clips):
        clips = turns[number % len(turns)]
        yield [clips[i] for i in rng.integers(len(clips), size=rng.integers(num_parts[0], num_parts[1] + 1))]


def joined(waveforms, *, sample_rate, pause_seconds, pause_snr_db, rng):
    """Waveforms `[N]` in a row, float32, with pauses between of a length drawn from `pause_seconds` = [shortest, longest].

    Pauses hold white noise, by `pause_snr_db` dB below the mean power of the clips: digital silence is no recording.
    """
    deviation = np.sqrt(np.mean(np.concatenate(waveforms) ** 2)) * 10 ** (-pause_snr_db / 20)
    parts = [waveforms[0]]
    for waveform in waveforms[1:]:
        length = round(rng.uniform(*pause_seconds) * sample_rate)
        parts += [rng.normal(0, deviation, length), waveform]
    return np.clip(np.concatenate(parts), -1, 1).astype(np.float32)


def read_clips(manifest, root):
    """Split → rows of `MANIFEST` with the `root` of their corpus, without copies at other speeds. Raises `ValueError`."""
    rows = [dict(row, root=root) for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    check_clips(rows)
    return {split: [row for row in rows if row["split"] == split] for split in SPLITS}


def write_strings(audio, metadata, draw, *, column, symbols, seed, **pauses):
    """Writes `audio`/split/00000.flac (mono, 16 bit) and the CSV `metadata`, whose `column` is a sequence.

    `draw`: (split, rng) → lists of rows of `read_clips`; `symbols`: a list's labels → its symbols; `pauses`: see `joined`.
    """
    metadata, audio, rows = Path(metadata), Path(audio), []
    with atomic_folder(audio) as folder:
        for number, split in enumerate(SPLITS):
            (folder / split).mkdir()
            rng = np.random.default_rng([seed, number])
            for index, parts in enumerate(draw(split, rng)):
                rate, name = parts[0]["sample_rate"], Path(split, f"{index:05d}.flac")
                waveforms = [read_utterance(Path(p["root"]) / p["path"], p, sample_rate=rate) for p in parts]
                soundfile.write(folder / name, joined(waveforms, sample_rate=rate, rng=rng, **pauses), rate, subtype="PCM_16")
                said, speakers = symbols([p["labels"][0] for p in parts]), dict.fromkeys(p["speaker"] for p in parts)
                path = (audio / name).relative_to(metadata.parent).as_posix()
                rows.append({"path": path, "split": split, "speaker": "+".join(speakers), column: " ".join(said)})
    with atomic(metadata) as temporary:
        pandas.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")


def concatenate_clips(*, manifest, audio, metadata, root, num_clips, num_parts, pause_seconds, pause_snr_db, seed):
    """Writes `audio`/split/00000.flac (mono, 16 bit) and `metadata`, a CSV for `corpora/table.py` whose column `labels` is a sequence.

    `root`: of the corpus of `manifest`, whose copies at other speeds are left out; `num_clips`: `{split: number}`.
    Raises `ValueError`.
    """
    clips = read_clips(manifest, root)

    def draw(split, rng):
        return draw_strings(clips[split], num_clips=num_clips[split], num_parts=num_parts, rng=rng)

    pauses = dict(pause_seconds=pause_seconds, pause_snr_db=pause_snr_db)
    write_strings(audio, metadata, draw, column="labels", symbols=list, seed=seed, **pauses)
