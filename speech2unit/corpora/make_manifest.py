"""Make the manifest of a corpus: decode, check and measure every audio file once, and list unusable files with a reason."""

import contextlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from joblib import Parallel, delayed

from speech2unit.corpora.audio import BadAudio, SegmentDecoder, check_name, convert, decode, segment_times, segments_together
from speech2unit.corpora.draw_splits import check_folds, complete_splits
from speech2unit.corpora.read_corpus import check_ids, read_corpus
from speech2unit.corpora.remarks import counted, remarks, size_lines, speaker_hint
from speech2unit.corpora.schemas import MANIFEST, REJECTED
from speech2unit.corpora.splits import check_overlap, check_splits, split_by_hash
from storage import tables
from storage.errors import data_error, notice
from storage.paths import existing_form, similar_file
from storage.text import shown

MAX_DETAIL = 1000  # letters of what is wrong with a file and what to type


class CheckedFile(NamedTuple):
    """The result of checking one file."""

    accepted: list  # its rows of the manifest: as recorded and, in train, the copies at other speeds
    rejected: list  # its rows of `REJECTED`; empty if the file is usable
    remarks: tuple  # of `AudioInfo`


def check_segments(rows, **settings):
    """Return the `CheckedFile` of each of several segments of one file; `settings`: see `check_file`."""
    decode_segment = SegmentDecoder(rows)
    return [check_file(row, decode_segment=decode_segment, **settings) for row in rows]


def check_file(row, *, root, speeds, sample_rate, decode_segment=decode):
    """Decode, check and measure one file and its copies at other speeds. If one of them is unusable, none of them is used.

    Args:
        row: row of the adapter.
        root: root folder of the corpus.
        speeds: speeds of the extra copies of a training file. A fast copy can be too short although the file is long enough.
        sample_rate: sample rate in Hz at which the encoder reads the audio.
        decode_segment: `decode`, or a `SegmentDecoder` that has the row.

    Returns:
        A `CheckedFile`.
    """
    accepted = []
    audio_remarks = ()
    place = str(Path(root) / row["path"])
    try:
        check_name(row["path"])
        check_name(row["utterance_id"])
        samples, info = decode_segment(place, **segment_times(row))
        audio_remarks = info.remarks
        for speed in (1.0, *speeds) if row["split"] == "train" else (1.0,):
            copy = row if speed == 1 else row | {"utterance_id": f"sp{speed:g}-{row['utterance_id']}"}
            waveform = convert(samples, info.sample_rate, sample_rate=sample_rate, speed=speed, path=place)
            accepted.append(_manifest_row(copy, info, speed, len(waveform), sample_rate))
    except BadAudio as error:
        detail = error.explanation
        if error.reason == "missing":
            found = existing_form(row["path"], root)
            if found and str(found) != row["path"]:
                settings = dict(root=root, speeds=speeds, sample_rate=sample_rate)
                return check_file(row | dict(path=str(found)), decode_segment=decode_segment, **settings)
            similar = similar_file(root, row["path"])
            detail = f"{error.detail}; '{shown(similar)}' is there" if similar else detail
        names = {key: row[key].encode(errors="backslashreplace").decode() for key in ("utterance_id", "path")}
        return CheckedFile([], [names | dict(reason=error.reason, detail=detail)], audio_remarks)
    return CheckedFile(accepted, [], audio_remarks)


def _manifest_row(row, info, speed, num_samples, sample_rate):
    """Return a row of `MANIFEST` from a row of the adapter and the `AudioInfo` of its file."""
    measured = dict(speed=speed, num_samples=num_samples, sample_rate=sample_rate, audio_hash=info.audio_hash)
    return row | measured | dict(source_sample_rate=info.sample_rate, source_channels=info.channels)


def check_rejected(rejected, num_files, max_reject_fraction, place, table):
    """Check the number of unusable files.

    Args:
        rejected: rows of `REJECTED`.
        num_files: number of all files of the corpus.
        max_reject_fraction: largest fraction of the files that may be unusable.
        place: the corpus, for the error message.
        table: path of the table that lists them if the run stops, for the error message.

    Raises:
        ValueError: if more files are unusable; the message counts them by reason.
    """
    if len(rejected) <= max_reject_fraction * num_files:
        return
    rows_of_reason = defaultdict(list)
    for row in rejected:
        rows_of_reason[row["reason"]].append(row)
    lines = []
    for reason, rows in sorted(rows_of_reason.items()):
        paths = ", ".join(shown(row["path"]) for row in rows[:3])
        lines.append(f"\n  {reason:12} {len(rows):7}  {paths} (the first: {shown(rows[0]['detail'], MAX_DETAIL)})")
    raise data_error(
        place,
        "most of a corpus must be usable",
        expected=f"at most {max_reject_fraction:.2%} of the files rejected",
        got=f"{len(rejected)} of {num_files} ({len(rejected) / num_files:.2%}):{''.join(lines)}\n",
        remedy=f"repair these files or correct their paths ({table} lists all of them with what to type), move away what is not audio, "
        "or write a larger number into the column `max_reject_fraction` of its row in config/corpora.tsv",
    )


@contextlib.contextmanager
def kept_if_stopped(rows, table):
    """Write rejected files to a table if the body raises `ValueError`. Snakemake deletes the outputs of a failed job, but not this table.

    Args:
        rows: rows of `REJECTED`.
        table: path of the table; a former one is removed.
    """
    Path(table).unlink(missing_ok=True)
    try:
        yield
    except ValueError:
        if rows:
            tables.write(table, rows, REJECTED)
            notice(f"{counted(len(rows), 'file')} rejected before the run stopped: see {table}")
        raise


def _parse_speeds(text):
    """Return the speeds in a cell: `0.9,1.1` → (0.9, 1.1). Raises `ValueError` if the cell has anything else."""
    try:
        speeds = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        speeds = (0.0,)
    if len(set(speeds)) < len(speeds) or any(speed == 1 or not 0.5 <= speed <= 2 for speed in speeds):
        raise data_error(
            "config/corpora.tsv",
            "`speeds` are factors of the extra copies",
            expected="different numbers from 0.5 to 2 except 1, comma separated",
            got=f"'{text}'",
            remedy="correct the row",
        )
    return speeds


def make_manifest(
    *,
    manifest,
    rejected,
    corpus,
    source=None,
    rejected_if_stopped=None,
    sample_rate,
    max_reject_fraction,
    allow_overlap,
    num_folds,
    num_workers,
):
    """Stage: write the usable files and their copies at other speeds, and the rejected files. See `MANIFEST` and `REJECTED`.

    Args:
        manifest: table of `MANIFEST` to write, in the order of utterance_id.
        rejected: table of `REJECTED` to write.
        corpus: row of config/corpora.tsv, a dict. Its `speeds`, such as "0.9,1.1", make extra copies of the training files.
        source: files that the rule waits for; not read here.
        rejected_if_stopped: table of `REJECTED` to write if the run stops; None: `rejected`.
        sample_rate: sample rate in Hz at which the encoder reads the audio.
        max_reject_fraction: largest fraction of the files that may be unusable.
        allow_overlap: list of what may be in two splits: `speaker`, `audio`.
        num_folds: number of folds that `make_fold` will make, each with other splits, so that all rows are in train here; 0:
            the corpus has splits.
        num_workers: number of threads that decode.

    Raises:
        ValueError: if the corpus has another layout than its adapter expects, too many files are unusable, two utterances have
            the same name, a split is empty and cannot be drawn, a label of dev or test does not occur in train, or splits overlap
            without permission.
    """
    rows = [row | dict(split="train") if num_folds else row for row in read_corpus(corpus)]
    place = f"corpus {corpus['corpus']}, {corpus['root']}"
    check_ids(rows, place)
    settings = dict(root=corpus["root"], speeds=_parse_speeds(corpus["speeds"]), sample_rate=sample_rate)
    whole_files, segments = segments_together(rows)
    groups = [[row] for row in whole_files] + segments
    jobs = (delayed(check_segments)(group, **settings) for group in groups)
    checked = Parallel(n_jobs=num_workers, prefer="threads")(jobs)  # decoders release the interpreter lock
    rows = [row for group in groups for row in group]
    files = [file for group in checked for file in group]
    accepted_rows = sorted((row for file in files for row in file.accepted), key=_utterance_id)
    rejected_rows = sorted((row for file in files for row in file.rejected), key=_utterance_id)
    table_if_stopped = rejected_if_stopped or rejected
    with kept_if_stopped(rejected_rows, table_if_stopped):
        check_rejected(rejected_rows, len(rows), max_reject_fraction, place, table_if_stopped)
        notes = {}
        if not num_folds:
            accepted_rows, notes = complete_splits(
                accepted_rows, corpus["label_columns"], place, allow_overlap, draw_test=_are_drawn(rows, corpus)
            )
        originals = [row for row in accepted_rows if row["speed"] == 1]
        for remark in (*_audio_remarks(rows, files), *remarks(rows, originals, corpus["label_columns"], speaker_hint(corpus))):
            notice(f"corpus {corpus['corpus']}: {remark}")
        if num_folds:
            notes = check_folds(originals, num_folds, corpus["label_columns"], place, allow_overlap)
        else:
            check_splits(originals, place, corpus["label_columns"])
            check_overlap(originals, "speaker", place, allowed="speaker" in allow_overlap)
            check_overlap(originals, "audio_hash", place, allowed="audio" in allow_overlap)
    tables.write(manifest, accepted_rows, MANIFEST)
    tables.write(rejected, rejected_rows, REJECTED)
    notice(f"{manifest}: {size_lines(originals, corpus['label_columns'], len(accepted_rows) - len(originals), notes)}")
    if rejected_rows:
        reasons = Counter(row["reason"] for row in rejected_rows).most_common()
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons)
        notice(f"{len(rejected_rows)} of {len(rows)} files of {corpus['root']} rejected: {counts}; see {rejected}")
    num_converted = sum((row["source_sample_rate"], row["source_channels"]) != (sample_rate, 1) for row in originals)
    print(f"{num_converted} files converted to {sample_rate} Hz mono")


def _are_drawn(rows, corpus):
    """Return whether the splits come from a hash of each speaker, because nothing in the corpus names them."""
    if corpus["adapter"] not in ("table", "folders") or (corpus["adapter"] == "table" and corpus["split_column"]):
        return False
    return all(row["split"] == split_by_hash(row["speaker"] or row["path"]) for row in rows)


def _audio_remarks(rows, files):
    """Yield one sentence for each thing that is odd about files that are used, such as `2 files: clipped: 'a.wav', 'b.wav'`."""
    paths_of_remark = defaultdict(dict)  # remark → paths, each once, in the order of the rows
    for row, file in zip(rows, files):
        for remark in file.remarks:
            paths_of_remark[remark][row["path"]] = None
    for remark, paths in sorted(paths_of_remark.items()):
        first = ", ".join(f"'{shown(path)}'" for path in list(paths)[:3]) + (", …" if len(paths) > 3 else "")
        yield f"{len(paths)} file{'s' if len(paths) > 1 else ''}: {remark}: {first}"


def _utterance_id(row):
    return row["utterance_id"]
