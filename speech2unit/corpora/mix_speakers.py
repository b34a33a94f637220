"""Make mixtures of two speakers for diarization, from real speech; who speaks when is known to 10 ms.

Each speaker says some clips with pauses between them. One of the two begins later, and the second is louder or softer than
the first. Both speakers of a mixture belong to its split.
"""

import numpy as np

from speech2unit.corpora.activity import ACTIVITY_HZ, loud_frames, symbols_of
from speech2unit.corpora.clips import Utterance, draw_between, draw_clips, group_by_speaker, join_clips, read_clips, write_corpus
from storage.errors import data_error

PEAK = 0.9  # of full scale; a louder mixture is scaled down to it


def draw_pairs(rows, *, num_mixtures, clips_per_speaker, rng):
    """Yield the clips of `num_mixtures` mixtures, each as two lists of rows, one of each speaker.

    Args:
        rows: the clips of one split.
        num_mixtures: how many mixtures to draw.
        clips_per_speaker: [fewest, most] clips of a speaker, drawn with replacement.
        rng: generator of the draws.

    Raises:
        ValueError: if there are fewer than two speakers.
    """
    clips_of = group_by_speaker(rows)
    speakers = list(clips_of)
    if len(speakers) < 2:
        raise data_error(
            "mix_speakers",
            "every split has two speakers to mix",
            expected="at least 2",
            got=f"{speakers}",
            remedy="mix another corpus, or name its speaker column in config/corpora.tsv",
        )
    for _ in range(num_mixtures):
        pair = [speakers[i] for i in sorted(rng.choice(len(speakers), 2, replace=False))]
        yield [draw_clips(clips_of[speaker], draw_between(clips_per_speaker, rng), rng) for speaker in pair]


def mix_voices(voices, *, sample_rate, mixing, activity, rng):
    """Add two waveforms, of which one is delayed and the second has a gain.

    Args:
        voices: two waveforms `[N]`.
        sample_rate: their rate in Hz.
        mixing: `{delay_seconds: [shortest, longest], gain_db: [lowest, highest]}`. A coin decides which voice is delayed;
            the delay is rounded to 10 ms.
        activity: settings of `loud_frames`, which decide where a voice is heard.
        rng: generator of the delay and the gain.

    Returns:
        The float32 mixture `[N]`, and its activity as one symbol for every 10 ms.
    """
    hop = sample_rate // ACTIVITY_HZ
    delays = [0, 0]
    delays[rng.integers(2)] = round(rng.uniform(*mixing["delay_seconds"]) * ACTIVITY_HZ)
    gains = [1, 10 ** (rng.uniform(*mixing["gain_db"]) / 20)]
    length = max(len(voice) + delay * hop for voice, delay in zip(voices, delays))
    mixture = np.zeros(length)
    active = np.zeros((length // hop, 2), np.int8)
    for number, (voice, delay, gain) in enumerate(zip(voices, delays, gains)):
        is_loud = loud_frames(voice, sample_rate=sample_rate, **activity)
        active[delay : delay + len(is_loud), number] = is_loud
        mixture[delay * hop : delay * hop + len(voice)] += gain * voice
    return (mixture * min(1, PEAK / np.abs(mixture).max())).astype(np.float32), symbols_of(active)


def mix_speakers(*, manifest, audio, metadata, root, num_mixtures, clips_per_speaker, pauses, mixing, activity, seed):
    """Stage: write the audio of the mixtures and their metadata, whose column `activity` says who speaks when.

    The symbols of `activity` are those of `speech2unit/corpora/activity.py`; the column `speaker` names the pair.

    Args:
        manifest: manifest of a corpus of clips with speakers.
        audio: folder to write, see `write_corpus`.
        metadata: CSV file to write.
        root: root folder of the corpus of `manifest`.
        num_mixtures: `{split: number}`.
        clips_per_speaker: [fewest, most].
        pauses: see `join_waveforms`.
        mixing: see `mix_voices`.
        activity: see `mix_voices`.
        seed: seed of all draws.

    Raises:
        ValueError: if a split has fewer than two speakers.
    """
    clips = read_clips(manifest, root)

    def make_utterances(split, rng):
        draw = dict(num_mixtures=num_mixtures[split], clips_per_speaker=clips_per_speaker, rng=rng)
        for pair in draw_pairs(clips[split], **draw):
            sample_rate = pair[0][0]["sample_rate"]
            voices = [join_clips(drawn, sample_rate=sample_rate, pauses=pauses, rng=rng) for drawn in pair]
            mixture, symbols = mix_voices(voices, sample_rate=sample_rate, mixing=mixing, activity=activity, rng=rng)
            yield Utterance(mixture, sample_rate, [drawn[0]["speaker"] for drawn in pair], symbols)

    write_corpus(audio, metadata, make_utterances, label_column="activity", seed=seed)
