"""What tests of bundles share: the recordings of a corpus of the tiny pipeline, and the check of a SUPERB task's bundle."""

import pandas

from inference import Recognizer
from inference.bundle_files import read_bundle

FOLDERS = dict(commands="speech", strings="strings", mixtures="mixtures")  # corpus → its folder in results/corpora/commands/


def recordings(project, corpus, utterance_ids):
    """Return the paths of the audio files of utterances."""
    manifest = pandas.read_parquet(project / f"results/corpora/{corpus}/manifest.parquet").set_index("utterance_id")
    return [project / f"results/corpora/commands/{FOLDERS[corpus]}" / manifest.loc[name, "path"] for name in utterance_ids]


def check_superb_bundle(project, task):
    """Check that the bundle of a SUPERB task answers with every seed as predictions.parquet says."""
    predictions = pandas.read_parquet(project / f"results/superb/{task}/predictions.parquet")
    description, _ = read_bundle(project / f"results/superb/{task}/bundle")
    for seed, rows in predictions.groupby("seed"):
        recognizer = Recognizer.load(project / f"results/superb/{task}/bundle", seed=seed)
        answers = recognizer(recordings(project, description["corpus"], rows.utterance_id))
        assert [list(answer.labels) for answer in answers] == [list(labels) for labels in rows.predicted_labels]
        if recognizer.answer_kind == "class":
            assert all(answer.n_best[0].labels == answer.labels for answer in answers)
            assert all(0 < answer.probability <= 1 for answer in answers)
