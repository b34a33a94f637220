"""What a task's units give without any language model: the majority class, and a linear SVM on n-grams of units."""

from collections import Counter

from speech2unit import tables
from ulm.schemas import BASELINES
from verbalizer.schemas import LM_DATASET


def majority(rows):
    """A function row → the most frequent label sequence of the training rows."""
    most = Counter(tuple(row["labels"]) for row in rows).most_common(1)[0][0]
    return lambda test: [list(most) for _ in test]


def ngram_svm(rows, *, max_ngram, regularisation, seed):
    """A function rows → label sequences: linear SVM on the 1…max_ngram-gram counts (log-scaled TF-IDF) of the units."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(
        TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, max_ngram), sublinear_tf=True),
        LinearSVC(C=regularisation, random_state=seed),
    )  # fmt: skip
    sequences = sorted({tuple(row["labels"]) for row in rows})
    model.fit([text(row) for row in rows], [sequences.index(tuple(row["labels"])) for row in rows])
    return lambda test: [list(sequences[i]) for i in model.predict([text(row) for row in test])]


def text(row):
    """Units of a row as words: `17 4 99`."""
    return " ".join(map(str, row["units"]))


def fit_baselines(*, lm_dataset, baselines, max_ngram, regularisation, seed):
    """Stage: fitted on the training split, predictions for dev and test. See `BASELINES`."""
    rows = tables.read(lm_dataset, LM_DATASET).to_pylist()
    train, rest = ([row for row in rows if (row["split"] == "train") == of_train] for of_train in (True, False))
    methods = dict(
        majority=majority(train),
        ngram_svm=ngram_svm(train, max_ngram=max_ngram, regularisation=regularisation, seed=seed),
    )
    with tables.writer(baselines, BASELINES) as out:
        for method, predict in methods.items():
            known = [{name: row[name] for name in ("utterance_id", "split", "labels")} for row in rest]
            out.write([row | dict(method=method, predicted_labels=p) for row, p in zip(known, predict(rest))])
