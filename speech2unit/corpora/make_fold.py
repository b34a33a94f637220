"""Make the manifest of one fold of a corpus: its speakers become the test split, a tenth of the others dev, the rest train."""

from speech2unit.corpora.draw_splits import complete_splits, divide, with_splits
from speech2unit.corpora.remarks import remarks, size_lines
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import check_overlap, check_splits
from storage import tables
from storage.errors import notice


def fold_rows(rows, fold, num_folds, label_columns, place, allow_overlap):
    """Return the manifest rows of one fold, and notes on its splits for `size_lines`.

    Args:
        rows: manifest rows of the whole corpus, all in train, with copies at other speeds.
        fold: number of the fold, from 1.
        num_folds: number of folds.
        label_columns, place, allow_overlap: as for `complete_splits`.
    """
    originals = [row for row in rows if row["speed"] == 1]
    folds, unit = divide(originals, num_folds, label_columns, place, allow_overlap)
    tested = {row["utterance_id"]: "test" for row, number in zip(originals, folds) if number == fold - 1}
    rows, notes = complete_splits(with_splits(rows, tested), label_columns, place, allow_overlap)
    return rows, notes | dict(test=f"fold {fold} of {num_folds} by {unit}")


def make_fold(*, whole, manifest, corpus, fold, num_folds, label_columns, allow_overlap):
    """Stage: write the manifest of one fold. See `MANIFEST`.

    Args:
        whole: table of `MANIFEST` of the corpus that is divided.
        manifest: table of `MANIFEST` to write.
        corpus: name of the fold.
        fold: its number, from 1.
        num_folds: number of folds.
        label_columns: the cell of config/corpora.tsv.
        allow_overlap: list of what may be in two splits: `speaker`, `audio`.

    Raises:
        ValueError: if a label has a single speaker, so that train lacks it where that speaker is tested, or if splits overlap.
    """
    place = f"corpus {corpus}, fold {fold} of {num_folds}"
    rows = tables.read(whole, MANIFEST).to_pylist()
    rows, notes = fold_rows(rows, fold, num_folds, label_columns, place, allow_overlap)
    originals = [row for row in rows if row["speed"] == 1]
    for remark in remarks(originals, originals, label_columns):
        print(f"corpus {corpus}: {remark}")
    check_splits(originals, place, label_columns)
    check_overlap(originals, "audio_hash", place, allowed="audio" in allow_overlap)
    tables.write(manifest, rows, MANIFEST)
    notice(f"{manifest}: {size_lines(originals, label_columns, len(rows) - len(originals), notes)}")
