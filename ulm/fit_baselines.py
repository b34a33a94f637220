"""Baselines on a task's units without a language model: the most frequent answer, and n-grams of units.

If the answers are classes, the n-gram baseline is a linear SVM. If any sequence may be an answer, the baseline predicts the
labels of the training row with the most similar n-grams.
"""

from collections import Counter

import numpy as np

from evaluation.metrics import METRICS
from storage import tables
from ulm.schemas import BASELINES
from verbalizer.schemas import LM_DATASET

BLOCK_ROWS = 256  # number of rows that are compared with all training rows at once


def majority(train):
    """Return a function that maps a list of rows to one pair per row: the most frequent labels of the training rows, and score 0.

    Args:
        train: training rows of `LM_DATASET`.
    """
    most_frequent = Counter(tuple(row["labels"]) for row in train).most_common(1)[0][0]
    return lambda rows: [(list(most_frequent), 0.0) for _ in rows]


def ngram_vectorizer(max_ngram):
    """Return a vectorizer of `unit_text`: log-scaled TF-IDF of 1- to max_ngram-grams, scaled to length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, max_ngram), sublinear_tf=True)


def ngram_svm(train, *, max_ngram, regularisation, seed):
    """Return a function that maps a list of rows to one pair per row, by a linear SVM on n-grams of units.

    A pair has the predicted labels and, as a score, the distance from the nearest decision boundary.

    Args:
        train: training rows of `LM_DATASET`.
        max_ngram: number of units of the longest n-gram.
        regularisation: inverse strength C of the SVM's regularization.
        seed: seed of the SVM's solver.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(ngram_vectorizer(max_ngram), LinearSVC(C=regularisation, random_state=seed))
    sequences = sorted({tuple(row["labels"]) for row in train})
    model.fit([unit_text(row) for row in train], [sequences.index(tuple(row["labels"])) for row in train])

    def predict(rows):
        texts = [unit_text(row) for row in rows]
        distances = model.decision_function(texts)
        scores = np.abs(distances) if distances.ndim == 1 else distances.max(1)
        return [(list(sequences[i]), float(score)) for i, score in zip(model.predict(texts), scores)]

    return predict


def ngram_nearest(train, *, max_ngram):
    """Return a function that maps a list of rows to one pair per row, by the training row with the most similar n-grams.

    A pair has the labels of this training row and, as a score, the cosine similarity. Of several equally similar training rows,
    the first one counts.

    Args:
        train: training rows of `LM_DATASET`.
        max_ngram: number of units of the longest n-gram.
    """
    vectorizer = ngram_vectorizer(max_ngram)
    train_vectors = vectorizer.fit_transform(map(unit_text, train))

    def predict(rows):
        predictions = []
        for start in range(0, len(rows), BLOCK_ROWS):
            vectors = vectorizer.transform(map(unit_text, rows[start : start + BLOCK_ROWS]))
            similarities = (vectors @ train_vectors.T).toarray()
            for row_similarities in similarities:
                best = int(row_similarities.argmax())
                predictions.append((train[best]["labels"], float(row_similarities[best])))
        return predictions

    return predict


def unit_text(row):
    """Return the units of a row as words: `17 4 99`."""
    return " ".join(map(str, row["units"]))


def fit_baselines(*, lm_dataset, baselines, metric, max_ngram, regularisation, seed):
    """Stage: fit baselines on the training split and write their predictions for dev and test. See `BASELINES`.

    Args:
        lm_dataset: table of `LM_DATASET`.
        baselines: table of `BASELINES` to write.
        metric: name of one of `METRICS`; it decides whether the answers are classes or sequences.
        max_ngram, regularisation, seed: see `ngram_svm`.
    """
    rows = tables.read(lm_dataset, LM_DATASET).to_pylist()
    train = [row for row in rows if row["split"] == "train"]
    evaluated = [row for row in rows if row["split"] != "train"]
    methods = dict(majority=majority(train))
    if METRICS[metric].open_answers:
        methods["ngram_nearest"] = ngram_nearest(train, max_ngram=max_ngram)
    else:
        methods["ngram_svm"] = ngram_svm(train, max_ngram=max_ngram, regularisation=regularisation, seed=seed)
    with tables.writer(baselines, BASELINES) as out:
        for method, predict in methods.items():
            predictions = []
            for row, (labels, score) in zip(evaluated, predict(evaluated)):
                known = {name: row[name] for name in ("utterance_id", "split", "labels")}
                predictions.append(known | dict(method=method, predicted_labels=labels, score=score))
            out.write(predictions)
