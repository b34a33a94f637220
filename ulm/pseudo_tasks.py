"""Pseudo-tasks: classifications of utterances that nobody labelled, said as units after `<s>`.

A unit LM that only continues speech has no reason to gather an utterance at `<s>`, and a prompt cannot teach it to. So the
LM is also pre-trained to answer many made-up questions, each under a deep prompt of its own that is trained along: which
of k clusters does this utterance belong to, by the n-grams of its units? No label of any task is seen.
"""

import numpy as np
import torch
from torch import nn

CLUSTERS = (12, 12, 16, 20, 24, 32, 48, 64, 80, 100)  # sizes that are drawn from
FINE_CLUSTERS = (100, 200, 300)  # a third of the tasks merges so many fine clusters at random
TASKS_A_VIEW = 4


def pseudo_labels(texts, num_tasks, answers, rng):
    """Answers `[N, num_tasks]` (vocabulary indices) of utterances `u1 u2 …` given as text, from the list `answers`.

    Each task clusters (k-means) a view: a random part of the 1–4-grams' TF-IDF, reduced by a truncated SVD. Each cluster
    is said as an answer of its own, drawn at random, the more frequent answers first.
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    min_rows = 8 if len(texts) >= 2000 else 2
    grams = (
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 4), min_df=min_rows, sublinear_tf=True).fit_transform(texts).tocsc()
    )
    labels = np.zeros((len(texts), num_tasks), np.int64)
    for task in range(num_tasks):
        if task % TASKS_A_VIEW == 0:
            view = _view(grams, rng)
        size = min(int(rng.choice(FINE_CLUSTERS if task % 3 == 2 else CLUSTERS)), len(answers), len(texts) // 4)
        kmeans = MiniBatchKMeans(size, random_state=int(rng.integers(2**31)), batch_size=2048, n_init=1, max_iter=20)
        clusters = kmeans.fit_predict(view)
        if task % 3 == 2:
            merged = min(int(rng.choice(CLUSTERS[:5])), size)
            clusters, size = (rng.permutation(size) % merged)[clusters], merged
        likely = answers[:size] if size <= len(answers) // 2 else answers
        labels[:, task] = rng.permutation(likely)[clusters]
    return labels


def _view(grams, rng):
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    columns = np.flatnonzero(rng.random(grams.shape[1]) < rng.choice([0.4, 0.7, 1.0]))
    rank = min(int(rng.choice([16, 32, 64])), len(columns) - 1)
    reduced = TruncatedSVD(rank, random_state=int(rng.integers(2**31)), n_iter=2).fit_transform(grams[:, columns].tocsr())
    return normalize(reduced / (reduced.std(0) + 1e-9) ** rng.choice([0.0, 0.5]))


class TaskPrompts(nn.Module):
    """A deep prompt a pseudo-task: vectors `[tasks, layers, length, D]` for keys and values, separators `[tasks, D]`."""

    def __init__(self, config, num_tasks, length):
        super().__init__()
        self.keys = nn.Parameter(torch.randn(num_tasks, config.num_layers, length, config.dim))
        self.values = nn.Parameter(torch.randn(num_tasks, config.num_layers, length, config.dim))
        self.separators = nn.Parameter(torch.randn(num_tasks, config.dim) * config.dim**-0.5)

    def past(self, lm, tasks):
        """Per layer keys and values `[B, H, M · length, D / H]` of the prompts of tasks `[B, M]`, one after another."""
        found = []
        for i, layer in enumerate(lm.layers):
            a = layer.self_attn
            pair = a.heads(a.k_proj(self.keys[:, i])), a.heads(a.v_proj(self.values[:, i]))
            found.append(tuple(each[tasks].transpose(1, 2).flatten(2, 3) for each in pair))
        return found
