"""Commands with slots: clips of a speaker of one corpus, a pause, clips of a speaker of another; labels are a sequence with slots.

A slot-filling task on real speech out of two corpora of single words: `<direction> left </> <number> 3 7 </>`.
"""

from speech2unit.corpora.concatenate_clips import by_speaker, read_clips, write_strings
from storage.errors import data_error
from storage.schemas import SPLITS


def slot_of_labels(slots, labels, place="concatenate_slots.slots"):
    """Slot → labels becomes label → slot. Raises `ValueError` where one of `labels` fills no slot, or one fills two."""
    found = [label for filling in slots.values() for label in filling]
    wrong = sorted(set(labels) - set(found)) or sorted(label for label in set(found) if found.count(label) > 1)
    if wrong:
        raise data_error(
            place,
            "each label fills one slot",
            expected="every label of both corpora once",
            got=f"{wrong[:5]} in none or two",
            remedy="correct the section in config/config.yaml",
        )
    return {label: slot for slot, filling in slots.items() for label in filling}


def slot_symbols(labels, slot_of):
    """left 3 7 → `<direction> left </> <number> 3 7 </>`: neighbours of one slot fill it together."""
    symbols = []
    for i, label in enumerate(labels):
        if i == 0 or slot_of[labels[i - 1]] != slot_of[label]:
            symbols += ["</>"] * (i > 0) + [f"<{slot_of[label]}>"]
        symbols.append(label)
    return [*symbols, "</>"]


def draw_commands(corpora, *, num_clips, num_parts, rng):
    """Lists of rows, `num_clips` of them: clips of a speaker of the first corpus, then clips of one of the second.

    corpora: rows of one split of either; num_parts: [fewest, most] clips of either, drawn with replacement; at least one
    in all. The speakers take turns.
    """
    turns = [by_speaker(rows) for rows in corpora]
    for number in range(num_clips):
        counts = [0]
        while not sum(counts):
            counts = [rng.integers(low, high + 1) for low, high in num_parts]
        voices = [voices[number % len(voices)] for voices in turns]
        yield [clips[i] for clips, n in zip(voices, counts) for i in rng.integers(len(clips), size=n)]


def concatenate_slots(*, manifests, audio, metadata, roots, slots, num_clips, num_parts, pause_seconds, pause_snr_db, seed):
    """Writes `audio` and `metadata` as `concatenate_clips` does; the CSV's column `symbols` is a sequence.

    `manifests`, `roots`: of the two corpora; `slots`: `{slot: labels}`. Raises `ValueError`.
    """
    corpora = [read_clips(manifest, root) for manifest, root in zip(manifests, roots)]
    slot_of = slot_of_labels(slots, {row["labels"][0] for clips in corpora for split in SPLITS for row in clips[split]})

    def draw(split, rng):
        rows = [clips[split] for clips in corpora]
        return draw_commands(rows, num_clips=num_clips[split], num_parts=num_parts, rng=rng)

    def symbols(labels):
        return slot_symbols(labels, slot_of)

    pauses = dict(pause_seconds=pause_seconds, pause_snr_db=pause_snr_db)
    write_strings(audio, metadata, draw, column="symbols", symbols=symbols, seed=seed, **pauses)
