"""ASVspoof 2019, logical access: bona fide speech against synthesized and converted speech, in the published split.

Expected: LA.zip, unpacked: `LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt` and
`LA/ASVspoof2019_LA_{train,dev,eval}/flac/*.flac`. Speakers are disjoint.

**Source:** arXiv 1911.01601.
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, read_fields, utterance_row, with_labels

SOURCE = "https://datashare.ed.ac.uk/handle/10283/3336 (LA.zip)"
PROTOCOLS = dict(train="train.trn", dev="dev.trl", test="eval.trl")
KEYS = dict(bonafide="bonafide", spoof="spoof")


def read_rows(*, root, label_columns):
    """Return rows with label column `key`: line `LA_0079 LA_T_1138215 - - bonafide` → speaker LA_0079, [bonafide].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for split, ending in PROTOCOLS.items():
        protocol = Path(root) / "LA/ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{ending}.txt"
        for speaker, name, _, _, key in read_fields(protocol, 5, SOURCE):
            path = f"LA/ASVspoof2019_LA_{ending.split('.')[0]}/flac/{name}.flac"
            rows.append(utterance_row(path, split, dict(key=look_up(key, KEYS, protocol, SOURCE)), speaker))
    return with_labels(rows, label_columns)
