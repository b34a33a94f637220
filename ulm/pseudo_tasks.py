"""Pseudo-tasks: classifications without human labels, which a unit LM learns to answer after `<s>`.

A unit LM that only continues speech has no reason to summarize an utterance at `<s>`, and a prompt cannot teach it to. Therefore
it is also pre-trained on many made-up classifications. Each of them asks which of several clusters an utterance belongs to; the
clusters come from the n-grams of its units. Each has its own deep prompt, which is trained together with the LM. No label of any
task is used.
"""

import numpy as np
import torch
from torch import nn

CLUSTERS = (12, 12, 16, 20, 24, 32, 48, 64, 80, 100)  # each pseudo-task draws its number of clusters from these
FINE_CLUSTERS = (100, 200, 300)  # every third pseudo-task draws from these instead, and then merges its clusters at random
MERGED_CLUSTERS = CLUSTERS[:5]  # numbers of clusters after merging
TASKS_PER_VIEW = 4


def pseudo_labels(texts, num_tasks, answers, rng):
    """Draw pseudo-tasks, and return the right answer of each of them for each utterance.

    Every pseudo-task clusters a view of the utterances by k-means. A view is a random subset of the columns of TF-IDF vectors
    of 1- to 4-grams, reduced by a truncated SVD. Each cluster gets a different answer, drawn at random; if there are few
    clusters, only from the most frequent answers.

    Args:
        texts: N utterances as text, `u1 u2 …`.
        num_tasks: number of pseudo-tasks.
        answers: vocabulary indices of the possible answers, the most frequent first.
        rng: `numpy.random.Generator`.

    Returns:
        Vocabulary indices `[N, num_tasks]`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    min_rows = 8 if len(texts) >= 2000 else 2
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 4), min_df=min_rows, sublinear_tf=True)
    ngrams = vectorizer.fit_transform(texts).tocsc()
    labels = np.zeros((len(texts), num_tasks), np.int64)
    for task in range(num_tasks):
        if task % TASKS_PER_VIEW == 0:
            view = _view(ngrams, rng)
        clusters, num_clusters = _clusters(view, task % 3 == 2, len(answers), rng)
        likely = answers[:num_clusters] if num_clusters <= len(answers) // 2 else answers
        labels[:, task] = rng.permutation(likely)[clusters]
    return labels


def _clusters(view, merge, num_answers, rng):
    """Cluster the rows of a view, with a random number of clusters. Return the cluster of each row, and this number."""
    from sklearn.cluster import MiniBatchKMeans

    size = int(rng.choice(FINE_CLUSTERS if merge else CLUSTERS))
    num_clusters = min(size, num_answers, len(view) // 4)
    random_state = int(rng.integers(2**31))
    kmeans = MiniBatchKMeans(num_clusters, random_state=random_state, batch_size=2048, n_init=1, max_iter=20)
    clusters = kmeans.fit_predict(view)
    if not merge:
        return clusters, num_clusters
    num_merged = min(int(rng.choice(MERGED_CLUSTERS)), num_clusters)
    merged = rng.permutation(num_clusters) % num_merged
    return merged[clusters], num_merged


def _view(ngrams, rng):
    """Return a random view `[N, D]` of TF-IDF vectors: some columns, reduced to a random rank, scaled to length 1."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    columns = np.flatnonzero(rng.random(ngrams.shape[1]) < rng.choice([0.4, 0.7, 1.0]))
    rank = min(int(rng.choice([16, 32, 64])), len(columns) - 1)
    reduced = TruncatedSVD(rank, random_state=int(rng.integers(2**31)), n_iter=2).fit_transform(ngrams[:, columns].tocsr())
    return normalize(reduced / (reduced.std(0) + 1e-9) ** rng.choice([0.0, 0.5]))


class TaskPrompts(nn.Module):
    """One deep prompt per pseudo-task: vectors `[tasks, layers, length, D]` for keys and values, separators `[tasks, D]`."""

    def __init__(self, config, num_tasks, length):
        super().__init__()
        self.keys = nn.Parameter(torch.randn(num_tasks, config.num_layers, length, config.dim))
        self.values = nn.Parameter(torch.randn(num_tasks, config.num_layers, length, config.dim))
        self.separators = nn.Parameter(torch.randn(num_tasks, config.dim) * config.dim**-0.5)

    def key_values(self, lm, tasks):
        """Return keys and values `[B, H, M · length, D / H]` per layer: the M prompts of tasks `[B, M]`, one after another."""
        pairs = []
        for i, layer in enumerate(lm.layers):
            attention = layer.self_attn
            keys = attention.heads(attention.k_proj(self.keys[:, i]))
            values = attention.heads(attention.v_proj(self.values[:, i]))
            pairs.append(tuple(tensor[tasks].transpose(1, 2).flatten(2, 3) for tensor in (keys, values)))
        return pairs
