"""IEMOCAP, four emotions: neutral, happy (with excited), angry, sad. Other utterances are left out, as in SUPERB.

Expected: `Session{1-5}/dialog/EmoEvaluation/*.txt` and `Session{1-5}/sentences/wav/{dialog}/{utterance}.wav`. Each session has
two speakers of its own: session 1 is test (SUPERB's first fold), session 2 dev, 3 to 5 train. (SUPERB draws dev from the
sessions of train, so its dev speakers occur in train; results are comparable with its first fold.)

**Source:** Busso et al., Language Resources and Evaluation 42 (2008); SUPERB, arXiv 2105.01051.
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, matching_paths, read_lines, utterance_row, with_labels

SOURCE = "https://sail.usc.edu/iemocap"
SPLITS = dict(Session1="test", Session2="dev", Session3="train", Session4="train", Session5="train")
EMOTIONS = dict(neu="neutral", hap="happy", exc="happy", ang="angry", sad="sad")
OTHER_EMOTIONS = dict.fromkeys(("fru", "fea", "sur", "dis", "oth", "xxx"))  # annotated, but none of the four


def read_rows(*, root, label_columns):
    """Return rows with label column `emotion`: Ses01F_impro01_M002 → speaker Ses01M, [sad].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for session, split in SPLITS.items():
        for path in matching_paths(Path(root) / session / "dialog/EmoEvaluation", "*.txt", SOURCE):
            for line in read_lines(path, SOURCE):
                row = _row(line, session, split, path) if line.startswith("[") else None
                if row:
                    rows.append(row)
    return with_labels(rows, label_columns)


def _row(line, session, split, place):
    """Return the row of a line `[6.29 - 8.23]⇥Ses01F_impro01_F000⇥neu⇥[2.5, 2.5, 2.5]`, or None for another emotion."""
    _, name, code, *_ = [*line.split("\t"), "", ""]
    emotion = look_up(code, EMOTIONS | OTHER_EMOTIONS, place, SOURCE)
    if emotion is None:
        return None
    dialog, _, turn = name.rpartition("_")
    path = f"{session}/sentences/wav/{dialog}/{name}.wav"
    return utterance_row(path, split, dict(emotion=emotion), speaker=name[:5] + turn[:1])
