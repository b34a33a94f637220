"""Shards are put together in order."""

from inference.collect_predictions import collect_predictions
from inference.schemas import PREDICTIONS_OF_CORPUS
from storage import tables


def row(name, **cells):
    """Return a row of `PREDICTIONS_OF_CORPUS`: a usable file with the answer `yes`."""
    usable = dict(utterance_id=name, path=f"{name}.wav", split=None, labels=None, predicted_labels=["yes"], score=-0.1)
    usable |= dict(probability=0.9, n_best_labels=["yes"], n_best_scores=[-0.1], seconds=1.0, reason=None, detail=None)
    return usable | cells


def test_shards_follow_one_another(tmp_path, capsys):
    shards = [[row("b"), row("a")], [], [row("d", reason="silent", detail="every sample is 0", predicted_labels=None), row("c")]]
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for path, rows in zip(paths, shards):
        tables.write(path, rows, PREDICTIONS_OF_CORPUS)
    collect_predictions(shards=paths, predictions=tmp_path / "all.parquet")
    assert tables.read(tmp_path / "all.parquet", PREDICTIONS_OF_CORPUS).to_pylist() == [r for rows in shards for r in rows]
    assert "3 of 4 recordings labelled, 1 unusable" in capsys.readouterr().out


def test_small_row_groups_become_large_ones(tmp_path):
    import pyarrow.parquet as pq

    paths = [tmp_path / f"{number}.parquet" for number in range(8)]
    for number, path in enumerate(paths):
        tables.write(path, [row(f"r{number}")], PREDICTIONS_OF_CORPUS)
    collect_predictions(shards=paths, predictions=tmp_path / "all.parquet")
    assert pq.ParquetFile(tmp_path / "all.parquet").num_row_groups == 1
