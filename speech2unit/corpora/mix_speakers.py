"""Make mixtures of two speakers for diarization, from real speech. The activity of each speaker is known to 10 ms.

The voice of each speaker consists of some clips with pauses between them. One of the two voices begins later, and the second
voice is louder or softer than the first. Both speakers of a mixture belong to its split.
"""

import numpy as np

from speech2unit.corpora.activity import ACTIVITY_HZ, loud_frames, symbols_of
from speech2unit.corpora.clips import Utterance, draw_between, draw_clips, group_by_speaker, join_clips, read_clips, write_corpus
from storage.errors import data_error

PEAK = 0.9  # fraction of full scale; a mixture with a higher peak is scaled down to it


def draw_pairs(rows, *, num_mixtures, clips_per_speaker, rng):
    """Yield the clips of each mixture, as two lists of rows, one for each speaker.

    Args:
        rows: rows of the clips of one split.
        num_mixtures: number of mixtures to draw.
        clips_per_speaker: [fewest, most] clips of a speaker; they are drawn with replacement.
        rng: `numpy.random.Generator` of all draws.

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
    """Mix two voices: delay one of them, amplify or attenuate the second, and add them.

    Args:
        voices: two waveforms `[N]`.
        sample_rate: their rate in Hz.
        mixing: dict with `delay_seconds`, the [shortest, longest] delay, and `gain_db`, the [lowest, highest] gain of the second
            voice. Which voice is delayed is random. The delay is rounded to 10 ms.
        activity: `range_db` and `max_gap_seconds` of `loud_frames`, which decide when a voice is heard.
        rng: `numpy.random.Generator` of the delay and the gain.

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
    """Stage: write the audio of the mixtures and their metadata.

    The column `activity` of the metadata has the symbols of `speech2unit/corpora/activity.py`; the column `speaker` names the
    pair.

    Args:
        manifest: table of `MANIFEST` of a corpus of clips with speakers.
        audio: folder of audio files to write, see `write_corpus`.
        metadata: CSV file to write.
        root: root folder of the corpus of `manifest`.
        num_mixtures: dict from each split to its number of mixtures.
        clips_per_speaker: [fewest, most] clips of a speaker in a mixture.
        pauses: `seconds` and `snr_db`, see `join_waveforms`.
        mixing: `delay_seconds` and `gain_db`, see `mix_voices`.
        activity: `range_db` and `max_gap_seconds`, see `loud_frames`.
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
