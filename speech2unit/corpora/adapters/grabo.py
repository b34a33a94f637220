"""Grabo: 36 Dutch commands to a robot, several takes of each by about ten speakers.

Expected: `speakers/{speaker}/spchdatadir/recording{1-36}/*.wav`. No split is published, so speakers are assigned to splits.
(SpeechPrompt v2 trains on the first two takes of every speaker, in the order of the file system.)

**Source:** Renkens et al., "Acquisition of ordinal words using weakly supervised NMF", SLT 2014.
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_speakers_by_label
from storage.text import normalize_name

SOURCE = "https://www.esat.kuleuven.be/psi/spraak/downloads"
COMMANDS = {f"recording{number}": f"recording{number}" for number in range(1, 37)}


def read_rows(*, root, label_columns):
    """Return rows with label column `command`: `speakers/pp2/…/recording7/Voice_1.wav` → speaker pp2, [recording7].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    paths = [path.relative_to(root) for path in matching_paths(Path(root), "speakers/*/spchdatadir/*/*.wav", SOURCE)]
    splits = split_speakers_by_label(dict(all={normalize_name(path.parts[1]) for path in paths}))
    rows = []
    for path in paths:
        speaker = normalize_name(path.parts[1])
        labels = dict(command=look_up(path.parts[3], COMMANDS, path, SOURCE))
        rows.append(utterance_row(path.as_posix(), splits[speaker], labels, speaker))
    return with_labels(rows, label_columns)
