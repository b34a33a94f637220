"""The label map of a task from clusters of the unit LM's embeddings: each label gets a unit near the centre of a cluster.

**Source:** SpeechPrompt, arXiv 2203.16773 (whose authors found that it works poorly).
"""

import numpy as np

from storage import tables
from ulm.build_vocabulary import index_of_unit
from ulm.causal_lm import load
from ulm.schemas import VOCABULARY
from verbalizer.fit_verbalizer import training_counts, write_label_map


def order_by_clusters(embeddings, num_labels, seed):
    """Return all units 0 … K-1 in an order of their clusters.

    First comes one unit per cluster: the unit nearest to the centre of the cluster among those that no earlier cluster took.
    Then come all other units.

    Args:
        embeddings: array `[K, D]`, the embeddings of the units in numeric order.
        num_labels: number of clusters. If this is K or more, the units stay in numeric order.
        seed: seed of k-means.
    """
    from sklearn.cluster import KMeans

    if num_labels >= len(embeddings):
        return list(range(len(embeddings)))
    centres = KMeans(num_labels, n_init=10, random_state=seed).fit(embeddings).cluster_centers_
    distances = np.linalg.norm(centres[:, None] - embeddings[None], axis=-1)
    order = []
    for row in distances:
        order.append(next(int(unit) for unit in row.argsort(kind="stable") if int(unit) not in order))
    return order + [unit for unit in range(len(embeddings)) if unit not in order]


def cluster_verbalizer(*, lm_dataset, model, config, vocabulary, verbalizer, seed):
    """Stage: choose the unit of each label by clusters of the unit LM's embeddings.

    Args:
        lm_dataset: table of `LM_DATASET`.
        model, config: safetensors and JSON file of the unit LM.
        vocabulary: table of `VOCABULARY`.
        verbalizer: table of `verbalizer.schemas.VERBALIZER` to write.
        seed: seed of k-means.
    """
    import torch

    label_counts, unit_counts = training_counts(lm_dataset)
    index_of = index_of_unit(tables.read(vocabulary, VOCABULARY))
    units = torch.tensor([index_of[unit] for unit in sorted(index_of)])
    embeddings = load(model, config).embed_tokens(units).numpy()
    write_label_map(verbalizer, label_counts, unit_counts, order_by_clusters(embeddings, len(label_counts), seed))
