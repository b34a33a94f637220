"""Baselines are fitted on the training split alone."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from storage import tables
from ulm.fit_baselines import fit_baselines, majority, ngram_nearest, ngram_svm, unit_text
from ulm.schemas import BASELINES
from verbalizer.schemas import LM_DATASET

SETTINGS = dict(max_ngram=2, regularisation=1.0, seed=1)


def row(i, split, units, *labels):
    return dict(utterance_id=f"u{i}", split=split, codebook="c", units=units, labels=list(labels))


def rows():
    train = [row(i, "train", [1, 2, 3] if i % 3 else [3, 2, 1], "up" if i % 3 else "down") for i in range(12)]
    evaluated = [row(20, "dev", [1, 2, 3], "up"), row(21, "test", [3, 2, 1], "down"), row(22, "test", [1, 2, 3], "down")]
    return train + evaluated


def test_majority_answers_the_most_frequent_sequence():
    predict = majority([dict(labels=["a", "b"]), dict(labels=["a"]), dict(labels=["a", "b"])])
    assert predict([{}, {}]) == [(["a", "b"], 0.0)] * 2


def test_the_svm_depends_on_the_order_of_units():
    train = [r for r in rows() if r["split"] == "train"]
    predict = ngram_svm(train, **SETTINGS)
    baselines = predict([dict(units=[1, 2, 3]), dict(units=[3, 2, 1])])
    assert [labels for labels, _ in baselines] == [["up"], ["down"]] and all(score > 0 for _, score in baselines)


def test_the_nearest_row_by_cosine_answers():
    rng = np.random.default_rng(0)
    train, test = (
        [dict(units=rng.integers(0, 4, rng.integers(1, 9)).tolist(), labels=[str(i)]) for i in range(n)] for n in (40, 300)
    )
    vectors = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True).fit(
        map(unit_text, train)
    )
    similarity = cosine_similarity(*(vectors.transform(map(unit_text, rows)) for rows in (test, train)))
    baselines = ngram_nearest(train, max_ngram=2)(test)
    assert [score for _, score in baselines] == pytest.approx(similarity.max(1).tolist(), abs=1e-9)
    assert [s[int(label)] for s, ((label,), _) in zip(similarity, baselines)] == pytest.approx(
        similarity.max(1).tolist(), abs=1e-9
    )


def test_unit_text_keeps_units_apart():
    assert unit_text(dict(units=[1, 12, 3])) == "1 12 3"


@pytest.fixture
def baselines(tmp_path):
    tables.write(tmp_path / "lm.parquet", rows(), LM_DATASET)
    fit_baselines(lm_dataset=tmp_path / "lm.parquet", baselines=tmp_path / "b.parquet", metric="f1", **SETTINGS)
    return tables.read(tmp_path / "b.parquet", BASELINES).to_pylist()


def test_every_dev_and_test_row_gets_a_prediction_of_both_methods(baselines):
    assert {(r["method"], r["utterance_id"]) for r in baselines} == {
        (m, f"u{i}") for m in ("majority", "ngram_svm") for i in (20, 21, 22)
    }
    predicted = {(r["method"], r["utterance_id"]): r["predicted_labels"] for r in baselines}
    assert [predicted["majority", f"u{i}"] for i in (20, 21, 22)] == [["up"]] * 3
    assert [predicted["ngram_svm", f"u{i}"] for i in (20, 21, 22)] == [["up"], ["down"], ["up"]]
    assert {r["utterance_id"]: r["labels"] for r in baselines} == dict(u20=["up"], u21=["down"], u22=["down"])


def test_labels_of_dev_and_test_change_nothing(tmp_path, baselines):
    changed = [r | dict(labels=["up"]) if r["split"] != "train" else r for r in rows()]
    tables.write(tmp_path / "lm2.parquet", changed, LM_DATASET)
    fit_baselines(lm_dataset=tmp_path / "lm2.parquet", baselines=tmp_path / "b2.parquet", metric="f1", **SETTINGS)
    again = tables.read(tmp_path / "b2.parquet", BASELINES).to_pylist()
    assert [r["predicted_labels"] for r in again] == [r["predicted_labels"] for r in baselines]


@pytest.mark.parametrize("metric", ["wer", "slot_type_f1"])
def test_sequences_are_answered_by_the_nearest_row(tmp_path, metric):
    tables.write(tmp_path / "lm.parquet", rows(), LM_DATASET)
    fit_baselines(lm_dataset=tmp_path / "lm.parquet", baselines=tmp_path / "b.parquet", metric=metric, **SETTINGS)
    baselines = tables.read(tmp_path / "b.parquet", BASELINES).to_pylist()
    assert {r["method"] for r in baselines} == {"majority", "ngram_nearest"}
    predicted = {r["utterance_id"]: (r["predicted_labels"], r["score"]) for r in baselines if r["method"] == "ngram_nearest"}
    assert {name: labels for name, (labels, _) in predicted.items()} == dict(u20=["up"], u21=["down"], u22=["up"])
    assert all(score == pytest.approx(1) for _, score in predicted.values())
