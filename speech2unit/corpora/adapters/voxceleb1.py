"""VoxCeleb1: the speaker (1251 of them, in the published identification split) or the gender (split by speaker).

Expected: `iden_split.txt`, `vox1_meta.csv`, `dev/wav/{speaker}/{video}/*.wav`, `test/wav/…`. Label column `speaker` uses the
identification split, in which every speaker is in every split (so the manifest's speaker is null). Label column `gender`
uses the verification split: its 40 test speakers are test, and a tenth of the other speakers is dev.

**Source:** arXiv 1706.08612.
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, read_fields, read_table, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash
from storage.errors import data_error

SOURCE = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html"
SPLITS = {"1": "train", "2": "dev", "3": "test"}
GENDERS = dict(m="male", f="female")
COLUMNS = ("VoxCeleb1 ID", "Gender", "Set")


def read_rows(*, root, label_columns):
    """Return rows with label column `speaker` or `gender`: `1 id10001/1zcIwhmdeo4/00001.wav` → train, [id10001].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    if label_columns.strip() not in ("speaker", "gender"):
        raise data_error(
            "config/corpora.tsv",
            "speaker and gender have different splits",
            expected="label_columns speaker or gender",
            got=f"'{label_columns}'",
            remedy="make one row of config/corpora.tsv for each",
        )
    root = Path(root)
    people = {cells[COLUMNS[0]]: cells for cells in read_table(root / "vox1_meta.csv", COLUMNS, SOURCE, "\t")}
    make_row = _speaker_row if label_columns.strip() == "speaker" else _gender_row
    place = root / "iden_split.txt"
    rows = []
    for number, path in read_fields(place, 2, SOURCE):
        person = look_up(path.split("/")[0], people, root / "vox1_meta.csv", SOURCE)
        rows.append(make_row(f"{person['Set']}/wav/{path}", person, look_up(number, SPLITS, place, SOURCE)))
    return with_labels(rows, label_columns)


def _speaker_row(path, person, split):
    return utterance_row(path, split, dict(speaker=person["VoxCeleb1 ID"]))


def _gender_row(path, person, _):
    name = person["VoxCeleb1 ID"]
    if person["Set"] == "test":
        split = "test"
    elif split_by_hash(name) == "dev":
        split = "dev"
    else:
        split = "train"
    return utterance_row(path, split, dict(gender=look_up(person["Gender"], GENDERS, "vox1_meta.csv", SOURCE)), name)
