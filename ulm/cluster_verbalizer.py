"""The label map of a task by the unit LM's own embeddings: as many clusters of units as labels, a unit near each centre.

**Source:** SpeechPrompt, arXiv 2203.16773 (whose authors found that it works poorly).
"""

import numpy as np

from storage import tables
from ulm.build_vocabulary import index_of_unit
from ulm.schemas import VOCABULARY
from verbalizer.fit_verbalizer import training_counts, write_label_map


def spread_units(embeddings, num_labels, seed):
    """Embeddings `[K, D]` of units 0 … K-1 → all units: first the unused one nearest to each of `num_labels` centres."""
    from sklearn.cluster import KMeans

    if num_labels >= len(embeddings):
        return list(range(len(embeddings)))
    centres = KMeans(num_labels, n_init=10, random_state=seed).fit(embeddings).cluster_centers_
    distances = np.linalg.norm(centres[:, None] - embeddings[None], axis=-1)
    order = []
    for row in distances:
        order.append(next(int(unit) for unit in row.argsort(kind="stable") if int(unit) not in order))
    return order + [unit for unit in range(len(embeddings)) if unit not in order]


def cluster_verbalizer(*, lm_dataset, model, vocabulary, verbalizer, seed):
    """Stage: label → units by clusters of the unit LM's embeddings. See `verbalizer.schemas.VERBALIZER`."""
    from safetensors.numpy import load_file

    labels, units = training_counts(lm_dataset)
    index_of = index_of_unit(tables.read(vocabulary, VOCABULARY))
    embeddings = load_file(model)["embed_tokens.weight"][[index_of[unit] for unit in sorted(index_of)]]
    write_label_map(verbalizer, labels, units, spread_units(embeddings, len(labels), seed))
