"""Turn a corpus of single words into one of word sequences: join clips of one speaker, with pauses between them.

Three clips with the labels 3, 7 and 1 become one utterance with the label sequence `3 7 1`: a sequence task on real speech.
Splits and speakers stay as they are.
"""

from speech2unit.corpora.clips import Utterance, draw_between, draw_clips, group_by_speaker, join_clips, read_clips, write_corpus
from storage.errors import data_error


def check_clips(rows):
    """Check the rows of a manifest. Raises `ValueError` if a row has no speaker, or not exactly one label of one word."""
    for row in rows:
        if len(row["labels"]) != 1 or len(row["labels"][0].split()) != 1 or row["speaker"] is None:
            raise data_error(
                "concatenate_clips",
                "a clip has a speaker and one label of one word",
                expected="such as ['3'] of speaker lucas",
                got=f"{row['labels']} of speaker {row['speaker']} ({row['utterance_id']})",
                remedy="use another corpus, or name its label and speaker columns in config/corpora.tsv",
            )


def read_words(manifest, root):
    """Return the same as `read_clips`. Raises `ValueError` if the corpus is not one of single words, see `check_clips`."""
    clips = read_clips(manifest, root)
    for rows in clips.values():
        check_clips(rows)
    return clips


def draw_sequences(rows, *, num_utterances, clips_per_utterance, rng):
    """Yield the clips of each utterance, a list of rows of one speaker. The speakers take turns.

    Args:
        rows: rows of the clips of one split.
        num_utterances: number of utterances to draw.
        clips_per_utterance: [fewest, most] clips of an utterance; they are drawn with replacement.
        rng: `numpy.random.Generator` of all draws.
    """
    clips_by_speaker = list(group_by_speaker(rows).values())
    for number in range(num_utterances):
        clips = clips_by_speaker[number % len(clips_by_speaker)]
        yield draw_clips(clips, draw_between(clips_per_utterance, rng), rng)


def join_utterance(clips, *, pauses, rng, labels):
    """Return the `Utterance` that joins some clips, at the sample rate of the first clip.

    Args:
        clips: rows of the clips, in this order.
        pauses, rng: as for `join_waveforms`.
        labels: labels of the utterance.
    """
    sample_rate = clips[0]["sample_rate"]
    waveform = join_clips(clips, sample_rate=sample_rate, pauses=pauses, rng=rng)
    speakers = list(dict.fromkeys(clip["speaker"] for clip in clips))
    return Utterance(waveform, sample_rate, speakers, labels)


def concatenate_clips(*, manifest, audio, metadata, root, num_utterances, clips_per_utterance, pauses, seed):
    """Stage: write the audio of the new corpus and its metadata, whose column `labels` holds the sequences.

    Args:
        manifest: table of `MANIFEST` of a corpus of single words.
        audio: folder of audio files to write, see `write_corpus`.
        metadata: CSV file to write.
        root: root folder of the corpus of `manifest`.
        num_utterances: dict from each split to its number of utterances.
        clips_per_utterance: [fewest, most] clips of an utterance.
        pauses: see `join_waveforms`.
        seed: seed of all draws.

    Raises:
        ValueError: if a clip has no speaker, or its label is not exactly one word.
    """
    clips = read_words(manifest, root)

    def make_utterances(split, rng):
        draw = dict(num_utterances=num_utterances[split], clips_per_utterance=clips_per_utterance, rng=rng)
        for drawn in draw_sequences(clips[split], **draw):
            yield join_utterance(drawn, pauses=pauses, rng=rng, labels=[clip["labels"][0] for clip in drawn])

    write_corpus(audio, metadata, make_utterances, label_column="labels", seed=seed)
