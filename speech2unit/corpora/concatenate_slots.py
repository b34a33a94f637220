"""Make a corpus for slot filling on real speech, from two corpora of single words.

An utterance is a command: clips of a speaker of the first corpus, a pause, and clips of a speaker of the second corpus. Its
labels are a sequence with slots: `<direction> left </> <number> 3 7 </>`.
"""

from speech2unit.corpora.clips import draw_between, draw_clips, group_by_speaker, write_corpus
from speech2unit.corpora.concatenate_clips import join_utterance, read_words
from storage.errors import data_error
from storage.schemas import SPLITS

CLOSE = "</>"  # ends a slot


def slot_of_each_label(slots, labels, place="concatenate_slots.slots"):
    """Return a dict from each label to its slot.

    Args:
        slots: dict from each slot to the labels that fill it.
        labels: labels of the clips.
        place: the setting, for the error message.

    Raises:
        ValueError: if one of `labels` fills no slot, or a label fills two slots.
    """
    filling = [label for labels_of_slot in slots.values() for label in labels_of_slot]
    unfilled = sorted(set(labels) - set(filling))
    ambiguous = sorted(label for label in set(filling) if filling.count(label) > 1)
    if unfilled or ambiguous:
        raise data_error(
            place,
            "each label fills one slot",
            expected="every label of both corpora once",
            got=f"{(unfilled or ambiguous)[:5]} in {'none' if unfilled else 'two'}",
            remedy="correct the section concatenate_slots in config/presets/corpora.yaml",
        )
    return {label: slot for slot, labels_of_slot in slots.items() for label in labels_of_slot}


def slot_symbols(labels, slot_of):
    """Add the slots to a sequence of labels: left 3 7 → `<direction> left </> <number> 3 7 </>`.

    Adjacent labels of the same slot fill it together.
    """
    symbols = []
    open_slot = None
    for label in labels:
        if slot_of[label] != open_slot:
            if open_slot is not None:
                symbols.append(CLOSE)
            open_slot = slot_of[label]
            symbols.append(f"<{open_slot}>")
        symbols.append(label)
    return [*symbols, CLOSE]


def draw_commands(corpora, *, num_utterances, clips_per_corpus, rng):
    """Yield the clips of each command: clips of one speaker of the first corpus, then clips of one speaker of the second.

    Args:
        corpora: list with the rows of one split of each corpus. The speakers of a corpus take turns.
        num_utterances: number of commands to draw.
        clips_per_corpus: [fewest, most] clips of each corpus; they are drawn with replacement. A command has at least one clip.
        rng: `numpy.random.Generator` of all draws.
    """
    speakers_of_corpora = [list(group_by_speaker(rows).values()) for rows in corpora]
    for number in range(num_utterances):
        counts = [0]
        while not sum(counts):
            counts = [draw_between(limits, rng) for limits in clips_per_corpus]
        command = []
        for clips_by_speaker, count in zip(speakers_of_corpora, counts):
            command += draw_clips(clips_by_speaker[number % len(clips_by_speaker)], count, rng)
        yield command


def concatenate_slots(*, manifests, audio, metadata, roots, slots, num_utterances, clips_per_corpus, pauses, seed):
    """Stage: write the audio of the commands and their metadata, whose column `symbols` holds the labels with their slots.

    Args:
        manifests: tables of `MANIFEST` of two corpora of single words.
        audio: folder of audio files to write, see `write_corpus`.
        metadata: CSV file to write.
        roots: root folders of the two corpora.
        slots: dict from each slot to the labels that fill it.
        num_utterances: dict from each split to its number of commands.
        clips_per_corpus: [fewest, most] clips of each corpus in a command.
        pauses: see `join_waveforms`.
        seed: seed of all draws.

    Raises:
        ValueError: if a label fills no slot or two slots, if a clip has no speaker, or if its label is not exactly one word.
    """
    corpora = [read_words(manifest, root) for manifest, root in zip(manifests, roots)]
    labels = {row["labels"][0] for clips in corpora for split in SPLITS for row in clips[split]}
    slot_of = slot_of_each_label(slots, labels)

    def make_utterances(split, rng):
        rows = [clips[split] for clips in corpora]
        draw = dict(num_utterances=num_utterances[split], clips_per_corpus=clips_per_corpus, rng=rng)
        for drawn in draw_commands(rows, **draw):
            symbols = slot_symbols([clip["labels"][0] for clip in drawn], slot_of)
            yield join_utterance(drawn, pauses=pauses, rng=rng, labels=symbols)

    write_corpus(audio, metadata, make_utterances, label_column="symbols", seed=seed)
