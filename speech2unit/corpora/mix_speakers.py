"""Mixtures of two speakers out of a corpus of clips: who speaks when is known to 10 ms, for diarization on real speech.

Each speaker says some clips with pauses between; the second begins a little later, louder or softer. Splits stay: both
speakers of a mixture are of its split.
"""

from pathlib import Path

import numpy as np
import pandas
import soundfile

from speech2unit.corpora.activity import ACTIVITY_HZ, loud_frames, symbols_of
from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.concatenate_clips import joined
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.errors import data_error
from storage.files import atomic, atomic_folder
from storage.schemas import SPLITS

PEAK = 0.9  # of full scale, where a mixture would be louder


def draw_pairs(rows, *, num_mixtures, num_parts, rng):
    """Pairs of lists of rows, `num_mixtures` of them: clips of two different speakers, drawn with replacement.

    rows: those of one split; num_parts: [fewest, most] clips a speaker. Raises `ValueError` for fewer than two speakers.
    """
    by_speaker = {}
    for row in sorted(rows, key=lambda row: row["utterance_id"]):
        by_speaker.setdefault(row["speaker"], []).append(row)
    speakers = sorted(name for name in by_speaker if name is not None)
    if len(speakers) < 2:
        raise data_error(
            "mix_speakers",
            "every split has two speakers to mix",
            expected="at least 2",
            got=f"{speakers}",
            remedy="mix another corpus, or name its speaker column in config/corpora.tsv",
        )
    for _ in range(num_mixtures):
        pair = [by_speaker[speakers[i]] for i in sorted(rng.choice(len(speakers), 2, replace=False))]
        yield [[clips[i] for i in rng.integers(len(clips), size=rng.integers(num_parts[0], num_parts[1] + 1))] for clips in pair]


def mixed(voices, *, sample_rate, delay_seconds, gain_db, range_db, max_gap_seconds, rng):
    """Two waveforms `[N]` → (their sum, the second later by up to and louder or softer by up to what is said; symbols).

    delay_seconds: [shortest, longest], rounded to 10 ms, of the voice that a coin chooses; gain_db: [least, most].
    """
    hop = sample_rate // ACTIVITY_HZ
    delays = [0, 0]
    delays[rng.integers(2)] = round(rng.uniform(*delay_seconds) * ACTIVITY_HZ)
    gains = [1, 10 ** (rng.uniform(*gain_db) / 20)]
    length = max(len(voice) + delay * hop for voice, delay in zip(voices, delays))
    mixture, active = np.zeros(length), np.zeros((length // hop, 2), np.int8)
    for number, (voice, delay, gain) in enumerate(zip(voices, delays, gains)):
        loud = loud_frames(voice, sample_rate=sample_rate, range_db=range_db, max_gap_seconds=max_gap_seconds)
        active[delay : delay + len(loud), number] = loud
        mixture[delay * hop : delay * hop + len(voice)] += gain * voice
    return (mixture * min(1, PEAK / np.abs(mixture).max())).astype(np.float32), symbols_of(active)


def mix_speakers(
    *,
    manifest,
    audio,
    metadata,
    root,
    num_mixtures,
    num_parts,
    pause_seconds,
    pause_snr_db,
    delay_seconds,
    gain_db,
    range_db,
    max_gap_seconds,
    seed,
):
    """Writes `audio`/split/00000.flac (mono, 16 bit) and `metadata`, a CSV for `corpora/table.py` whose column `activity` is
    a sequence of the symbols of `speech2unit/corpora/activity.py`; `speaker` is the pair.

    `root`: of the corpus of `manifest`, whose copies at other speeds are left out. Raises `ValueError`.
    """
    clips = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    metadata, audio, rows = Path(metadata), Path(audio), []
    pauses = dict(pause_seconds=pause_seconds, pause_snr_db=pause_snr_db)
    how = dict(delay_seconds=delay_seconds, gain_db=gain_db, range_db=range_db, max_gap_seconds=max_gap_seconds)
    with atomic_folder(audio) as folder:
        for number, split in enumerate(SPLITS):
            (folder / split).mkdir()
            rng, own = np.random.default_rng([seed, number]), [row for row in clips if row["split"] == split]
            pairs = draw_pairs(own, num_mixtures=num_mixtures[split], num_parts=num_parts, rng=rng)
            for index, pair in enumerate(pairs):
                rate, name = pair[0][0]["sample_rate"], Path(split, f"{index:05d}.flac")
                waves = [[read_utterance(Path(root) / p["path"], p, sample_rate=rate) for p in parts] for parts in pair]
                voices = [joined(parts, sample_rate=rate, rng=rng, **pauses) for parts in waves]
                mixture, symbols = mixed(voices, sample_rate=rate, rng=rng, **how)
                soundfile.write(folder / name, mixture, rate, subtype="PCM_16")
                pair_name, path = "+".join(parts[0]["speaker"] for parts in pair), (audio / name).relative_to(metadata.parent)
                rows.append(dict(path=path.as_posix(), split=split, speaker=pair_name, activity=" ".join(symbols)))
    with atomic(metadata) as temporary:
        pandas.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
