"""Label one shard of a corpus with a trained task, in parts: a job that was killed goes on after its last finished part."""

import contextlib
import tempfile
from pathlib import Path

from inference.collect_predictions import write_predictions
from inference.labelling import label
from inference.schemas import PREDICTIONS_OF_CORPUS
from speech2unit.corpora.audio import BadAudio, read_audio, segment_times
from speech2unit.corpora.schemas import FILES
from storage import tables
from storage.errors import notice
from storage.files import find_damage
from storage.paths import existing_form
from storage.progress import progress
from superb.create_superb_dataset import LETTERS, read_lexicon, task_labels
from training.checkpointing import parts_folder
from training.device import choose_device


def parts_of_shard(num_rows, files_per_part, shard, num_shards):
    """Return the numbers of a shard's parts, from 0. Parts are runs of rows; the shards divide them, not the rows.

    So the rows that are computed together, and the results to the last bit, do not depend on the number of shards.

    Args:
        num_rows: number of rows of the corpus.
        files_per_part: rows of a part.
        shard: number of the shard, from 1.
        num_shards: number of shards.
    """
    num_parts = -(-num_rows // files_per_part)
    return range((shard - 1) * num_parts // num_shards, shard * num_parts // num_shards)


def rows_of_parts(files, numbers, files_per_part):
    """Yield pairs (number of a part, its rows of `FILES`) for rising numbers, with one part in memory."""
    batches = tables.stream(files, FILES, batch_rows=files_per_part)
    start = 0  # number of the batch's first row
    batch = next(batches, None)
    for number in numbers:
        first, end = number * files_per_part, (number + 1) * files_per_part
        rows = []
        while batch is not None and start < end:
            if start + batch.num_rows > first:
                rows += batch.slice(max(0, first - start), min(end, start + batch.num_rows) - max(first, start)).to_pylist()
            if start + batch.num_rows > end:
                break
            start += batch.num_rows
            batch = next(batches, None)
        yield number, rows


class References:
    """Maps the labels of a corpus to those of a task, in the form in which it answers."""

    def __init__(self, columns, corpus_columns, kind, lexicon):
        """Prepare the mapping.

        Args:
            columns: label columns of the task; empty if the corpus does not have them.
            corpus_columns: label columns of the corpus.
            kind: kind of a SUPERB task; empty for other tasks.
            lexicon: path of its lexicon, `letters`, or empty; see `superb.create_superb_dataset`.
        """
        self.has_labels = bool(columns)
        self.is_sequence = any(name.endswith("[]") for name in columns)
        self.positions = [corpus_columns.index(name) for name in columns]
        self.kind = kind
        self.lexicon = read_lexicon(lexicon) if self.has_labels and lexicon not in ("", LETTERS) else lexicon

    def __call__(self, row):
        """Return the labels of a row of `FILES`, or None."""
        if not self.has_labels or row["labels"] is None:
            return None
        if self.kind:
            return task_labels(row, self.kind, self.positions, self.lexicon)
        return row["labels"] if self.is_sequence else [row["labels"][position] for position in self.positions]


def predicted_rows(recognizer, rows, references, *, root, **settings):
    """Yield the rows of `PREDICTIONS_OF_CORPUS` for rows of `FILES`.

    Args:
        recognizer: a `Recognizer`.
        rows: the rows.
        references: a `References`.
        root: root folder of the corpus.
        settings: `batch_size`, `num_best` and `num_workers` of `label`.
    """

    def read(row):
        if row["reason"]:
            raise BadAudio(row["path"], row["reason"], row["detail"])
        if recognizer.input_kind == "units":
            return tuple(row["units"])
        path = existing_form(row["path"], root) or row["path"]  # its letters may be composed otherwise on disk
        waveform, _ = read_audio(Path(root) / path, sample_rate=recognizer.sample_rate, **segment_times(row))
        return waveform, recognizer.sample_rate

    for row, result in label(recognizer, rows, read, name_of=_utterance_id, **settings):
        about_file = {name: row[name] for name in ("utterance_id", "path", "split")} | dict(labels=references(row))
        yield about_file | prediction(result)


def prediction(result):
    """Return the other columns of `PREDICTIONS_OF_CORPUS`, for a `Recognition` or a `BadAudio` error."""
    if isinstance(result, BadAudio):
        columns = ("predicted_labels", "score", "probability", "n_best_labels", "n_best_scores", "seconds")
        return dict.fromkeys(columns) | dict(reason=result.reason, detail=result.explanation)
    return dict(
        predicted_labels=list(result.labels),
        score=result.score,
        probability=result.probability,
        n_best_labels=[answer.label for answer in result.n_best],
        n_best_scores=[answer.score for answer in result.n_best],
        seconds=result.seconds,
        reason=None,
        detail=None,
    )


def label_files(
    *, bundle, files, predictions, root, shard, num_shards, references, files_per_part, batch_size, num_best, num_workers
):
    """Stage: label the recordings of one shard of a corpus. See `PREDICTIONS_OF_CORPUS`.

    Args:
        bundle: folder of the trained task.
        files: table of `FILES`.
        predictions: table to write, in the order of `files`.
        root: root folder of the corpus.
        shard: number of the shard, from 1.
        num_shards: number of shards.
        references: arguments of `References`.
        files_per_part: recordings that are saved together. A killed job loses at most these.
        batch_size, num_best, num_workers: see `inference.labelling.label`.
    """
    num_rows = sum(batch.num_rows for batch in tables.stream(files, FILES, ["utterance_id"]))
    numbers = parts_of_shard(num_rows, files_per_part, shard, num_shards)
    with contextlib.ExitStack() as stack:
        folder = parts_folder() or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths = {number: folder / f"part{number:06d}.parquet" for number in numbers}
        missing = [number for number, path in paths.items() if not path.is_file() or find_damage(path)]
        num_finished = len(numbers) - len(missing)
        if num_finished:
            notice(f"{predictions}: {num_finished} of {len(numbers)} parts were finished before")
        if missing:
            recognizer = _load(bundle, shard)
            settings = dict(root=root, batch_size=batch_size, num_best=num_best, num_workers=num_workers)
            to_references = References(**references)
            parts = rows_of_parts(files, missing, files_per_part)
            for number, rows in progress(parts, "parts", total=len(numbers), done_before=num_finished):
                labelled = predicted_rows(recognizer, rows, to_references, **settings)
                tables.write(paths[number], list(labelled), PREDICTIONS_OF_CORPUS)
        write_predictions(predictions, paths.values())


def _load(bundle, shard):
    """Return the `Recognizer` of a bundle, on the GPU of a shard's job."""
    from inference.recognizer import Recognizer

    return Recognizer.load(bundle, device=choose_device(shard))


def _utterance_id(row):
    return row["utterance_id"]
