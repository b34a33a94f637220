"""MUStARD: sarcastic or not, in the published speaker-independent setting, where the show Friends is test.

Expected: `data/sarcasm_data.json` of the repository (its newest version, which names the shows) and
`utterances_final/*.wav`, made from the published videos. A fifth of the speakers of the other shows is dev.

**Source:** arXiv 1906.01815.
"""

import json
from pathlib import Path

from speech2unit.corpora.layouts import existing_path, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash
from storage.errors import data_error
from storage.text import decode_text

SOURCE = "https://github.com/soujanyaporia/MUStARD"
UNNAMED = ("PERSON", "OTHER", "-")  # names that several people share


def read_rows(*, root, label_columns):
    """Return rows with label column `sarcasm`: 1_60 → `utterances_final/1_60.wav`, speaker BBT-SHELDON, [sarcastic].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    root = Path(root)
    place = root / "data/sarcasm_data.json"
    check_audio(root / "utterances_final", SOURCE)
    entries = json.loads(decode_text(existing_path(place, SOURCE).read_bytes(), place))
    incomplete = [name for name, entry in entries.items() if not {"speaker", "show", "sarcasm"} <= set(entry)]
    if incomplete or not entries:
        raise data_error(
            place,
            "every utterance has its speaker, show and label",
            expected="keys speaker, show, sarcasm",
            got=f"others in {incomplete[:3]}",
            remedy=f"get the newest version from {SOURCE}",
        )
    return with_labels([_row(name, entry) for name, entry in entries.items()], label_columns)


def _row(name, entry):
    """Return the row of an entry of sarcasm_data.json."""
    speaker = named_speaker(entry["show"], entry["speaker"])
    if entry["show"] == "FRIENDS":
        split = "test"
    elif split_by_hash(speaker or name) == "train":
        split = "train"
    else:
        split = "dev"
    return utterance_row(f"utterances_final/{name}.wav", split, sarcasm_label(entry["sarcasm"]), speaker)


def named_speaker(show, name):
    """Return the name of a speaker: `BBT`, `SHELDON` → BBT-SHELDON; None for people without a name."""
    return None if name.startswith(UNNAMED) else f"{show}-{name}"


def sarcasm_label(sarcastic):
    """Return the label column of an utterance."""
    return dict(sarcasm="sarcastic" if sarcastic else "sincere")


def check_audio(folder, source):
    """Check the audio folder. Raises `ValueError` if the videos were not converted: libsndfile cannot read MP4."""
    files = matching_paths(folder, "*", source)
    if not any(path.suffix.lower() == ".wav" for path in files):
        raise data_error(
            folder,
            "the published videos must be converted to audio",
            expected="*.wav",
            got=f"{files[0].name}",
            remedy="run for f in *.mp4; do ffmpeg -i $f -vn -ac 1 -ar 16000 ${f%.mp4}.wav; done",
        )
