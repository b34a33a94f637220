"""MUStARD++: sarcastic or not.

Expected: `mustard++_text.csv` of the repository and `final_utterance_videos/{KEY}.wav`, made from the published videos. Lines
of the context have no label and are left out. No split is published (the authors cross-validate over utterances): it depends
on the speaker, or on the utterance for people without a name.

**Source:** Ray et al., LREC 2022, "A Multimodal Corpus for Emotion Recognition in Sarcasm".
"""

from pathlib import Path

from speech2unit.corpora.adapters.mustard import check_audio, named_speaker, sarcasm_label
from speech2unit.corpora.layouts import look_up, only_matching_path, read_table, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash

SOURCE = "https://github.com/cfiltnlp/MUStARD_Plus_Plus"
SARCASM = {"0": False, "1": True, "0.0": False, "1.0": True}


def read_rows(*, root, label_columns):
    """Return rows with label column `sarcasm`: 1_1003_u → speaker BBT-HOWARD, [sarcastic].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    folder = only_matching_path(Path(root), "final_utterance*_videos", SOURCE)
    place = Path(root) / "mustard++_text.csv"
    check_audio(folder, SOURCE)
    rows = []
    for cells in read_table(place, ["KEY", "SPEAKER", "SHOW", "Sarcasm"], SOURCE):
        if cells["Sarcasm"].strip():
            speaker = named_speaker(cells["SHOW"], cells["SPEAKER"])
            label = sarcasm_label(look_up(cells["Sarcasm"], SARCASM, place, SOURCE))
            path = f"{folder.name}/{cells['KEY']}.wav"
            rows.append(utterance_row(path, split_by_hash(speaker or cells["KEY"]), label, speaker))
    return with_labels(rows, label_columns)
