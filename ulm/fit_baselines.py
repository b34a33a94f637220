"""What a task's units give without any language model: the most frequent answer, and n-grams of units.

Where answers are a few classes, a linear SVM on n-grams chooses one; where any sequence is an answer, it is that of the
training row with the most similar n-grams.
"""

from collections import Counter

import numpy as np

from evaluation.metrics import METRICS
from storage import tables
from ulm.schemas import BASELINES
from verbalizer.schemas import LM_DATASET

BLOCK_ROWS = 256  # rows compared with all training rows at a time


def majority(rows):
    """A function rows → (the most frequent label sequence of the training rows, 0) for each."""
    most = Counter(tuple(row["labels"]) for row in rows).most_common(1)[0][0]
    return lambda test: [(list(most), 0.0) for _ in test]


def ngrams(max_ngram):
    """1…max_ngram-gram counts of `text` as log-scaled TF-IDF: vectors of length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, max_ngram), sublinear_tf=True)


def ngram_svm(rows, *, max_ngram, regularisation, seed):
    """A function rows → (label sequence, distance from the nearest boundary) by a linear SVM on the n-grams of the units."""
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(ngrams(max_ngram), LinearSVC(C=regularisation, random_state=seed))
    sequences = sorted({tuple(row["labels"]) for row in rows})
    model.fit([text(row) for row in rows], [sequences.index(tuple(row["labels"])) for row in rows])

    def predict(test):
        distances = model.decision_function([text(row) for row in test])
        sure = np.abs(distances) if distances.ndim == 1 else distances.max(1)
        return [(list(sequences[i]), float(s)) for i, s in zip(model.predict([text(row) for row in test]), sure)]

    return predict


def ngram_nearest(rows, *, max_ngram):
    """A function rows → (labels of the training row with the most similar n-grams, the first of equals; their cosine)."""
    vectors = ngrams(max_ngram)
    train = vectors.fit_transform(map(text, rows))

    def predict(test):
        found = []
        for start in range(0, len(test), BLOCK_ROWS):
            similarity = (vectors.transform(map(text, test[start : start + BLOCK_ROWS])) @ train.T).toarray()
            best = similarity.argmax(1)
            found += [(rows[i]["labels"], float(row[i])) for i, row in zip(best, similarity)]
        return found

    return predict


def text(row):
    """Units of a row as words: `17 4 99`."""
    return " ".join(map(str, row["units"]))


def fit_baselines(*, lm_dataset, baselines, metric, max_ngram, regularisation, seed):
    """Stage: fitted on the training split, predictions for dev and test. See `BASELINES`."""
    rows = tables.read(lm_dataset, LM_DATASET).to_pylist()
    train, rest = ([row for row in rows if (row["split"] == "train") == of_train] for of_train in (True, False))
    methods = dict(majority=majority(train))
    if METRICS[metric].open_answers:
        methods |= dict(ngram_nearest=ngram_nearest(train, max_ngram=max_ngram))
    else:
        methods |= dict(ngram_svm=ngram_svm(train, max_ngram=max_ngram, regularisation=regularisation, seed=seed))
    known = [{name: row[name] for name in ("utterance_id", "split", "labels")} for row in rest]
    with tables.writer(baselines, BASELINES) as out:
        for method, predict in methods.items():
            found = zip(known, predict(rest))
            out.write([row | dict(method=method, predicted_labels=labels, score=score) for row, (labels, score) in found])
