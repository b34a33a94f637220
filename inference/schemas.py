"""Schemas of the tables that the stages of this package write."""

import pyarrow as pa

from speech2unit.corpora.schemas import FILES
from storage.tables import field, schema

PREDICTIONS_OF_CORPUS = schema(
    "predictions_of_corpus",
    *(FILES.field(name) for name in ("utterance_id", "path", "split")),
    field(
        "labels",
        pa.list_(pa.string()),
        "the task's labels of the recording, in the form of predicted_labels; null where the corpus has none",
        nullable=True,
    ),
    field("predicted_labels", pa.list_(pa.string()), "labels that the task answers; null for unusable files", nullable=True),
    field(
        "score",
        pa.float64(),
        "log probability of the answer among the legal answers; null for unusable files, and for sequences of SUPERB tasks",
        unit="nat",
        nullable=True,
    ),
    field("probability", pa.float64(), "the same as a probability, 0 to 1; null where score is", nullable=True),
    field(
        "n_best_labels",
        pa.list_(pa.string()),
        "the most probable answers, the best first, each with blanks between its labels; null for unusable files",
        nullable=True,
    ),
    field("n_best_scores", pa.list_(pa.float64()), "their log probabilities; null for unusable files", unit="nat", nullable=True),
    field("seconds", pa.float64(), "length of the recording; null for unusable files and for units", unit="s", nullable=True),
    field(
        "reason",
        pa.string(),
        "code of the rule that an unusable file breaks (speech2unit/corpora/audio.py); null for usable files",
        nullable=True,
    ),
    field("detail", pa.string(), "what is wrong with an unusable file, and what to type; null for usable ones", nullable=True),
    key=("utterance_id",),
    stage="collect_predictions",
)
