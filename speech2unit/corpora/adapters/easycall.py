"""EasyCall: how severe the dysarthria of an Italian speaker is, from control to severe.

Expected: `{speaker}/…/*.wav`; speakers fc.. and mc.. are controls, f.. and m.. have dysarthria. Severity is the Therapy
Outcome Measure of the speaker. No split is published, so speakers are assigned to splits within each severity.
Mild-moderate has one speaker, who is in train. (SpeechPrompt v2 draws utterances instead, so its test speakers also occur
in train.)

**Source:** arXiv 2104.02542.
"""

import re
from pathlib import Path

from speech2unit.corpora.layouts import look_up, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_speakers_by_label
from storage.text import normalize_name

SOURCE = "http://neurolab.unife.it/easycallcorpus"
SPEAKERS = {
    "mild": "f01 f03 f05 f06 f07 f08 f09 m02 m04 m09 m12 m13 m15 m17 m18 m20",
    "mild-moderate": "f11",
    "moderate": "f02 m01 m03 m08 m10 m16 m19",
    "moderate-severe": "m05 m06 m07",
    "severe": "f10 m11 m14",
}
SEVERITIES = {speaker: severity for severity, names in SPEAKERS.items() for speaker in names.split()}


def read_rows(*, root, label_columns):
    """Return rows with label column `severity`: `m05/…/chiama.wav` → speaker m05, [moderate-severe].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    paths = [path.relative_to(root) for path in matching_paths(Path(root), "*/**/*.wav", SOURCE)]
    severities = {name: _severity(name, root) for name in sorted({normalize_name(path.parts[0]) for path in paths})}
    speakers = {label: [] for label in sorted(set(severities.values()))}
    for speaker, label in severities.items():
        speakers[label].append(speaker)
    splits = split_speakers_by_label(speakers)
    rows = []
    for path in paths:
        speaker = normalize_name(path.parts[0])
        rows.append(utterance_row(path.as_posix(), splits[speaker], dict(severity=severities[speaker]), speaker))
    return with_labels(rows, label_columns)


def _severity(name, root):
    """Return the severity of a speaker. Raises `ValueError` if the speaker is not a published one."""
    return "control" if re.fullmatch("[fm]c[0-9]+", name) else look_up(name, SEVERITIES, Path(root) / name, SOURCE)
