"""Make commands with slots: clips of a speaker of one corpus, a pause, clips of a speaker of another corpus.

A slot-filling task on real speech, made of two corpora of single words. The labels are a sequence with slots:
`<direction> left </> <number> 3 7 </>`.
"""

from speech2unit.corpora.clips import draw_between, draw_clips, group_by_speaker, write_corpus
from speech2unit.corpora.concatenate_clips import join_utterance, read_words
from storage.errors import data_error
from storage.schemas import SPLITS

CLOSE = "</>"  # ends a slot


def slot_of_each_label(slots, labels, place="concatenate_slots.slots"):
    """Turn slot → labels into label → slot. Raises `ValueError` if one of `labels` fills no slot, or a label fills two."""
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

    Neighbours with the same slot fill it together.
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
    """Yield the clips of `num_utterances` commands: clips of one speaker of the first corpus, then of one of the second.

    Args:
        corpora: the rows of one split of each corpus; the speakers of a corpus take turns.
        num_utterances: how many commands to draw.
        clips_per_corpus: [fewest, most] clips of each corpus, drawn with replacement; a command has at least one in all.
        rng: generator of the draws.
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
        manifests: manifests of two corpora of single words.
        audio: folder to write, see `write_corpus`.
        metadata: CSV file to write.
        roots: root folders of the two corpora.
        slots: `{slot: labels that fill it}`.
        num_utterances: `{split: number}`.
        clips_per_corpus: [fewest, most] for each corpus.
        pauses: see `join_waveforms`.
        seed: seed of all draws.

    Raises:
        ValueError: if a label fills no slot or two, or a clip has no speaker or not exactly one word as its label.
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
