"""A corpus → its manifest: every audio file decoded once, checked, measured; what cannot be used is listed with a reason."""

import importlib
import inspect
import pkgutil
from collections import Counter, defaultdict
from pathlib import Path

from joblib import Parallel, delayed

from speech2unit.corpora import adapters as corpora
from speech2unit.corpora.audio import BadAudio, check_name, convert, decode, segment_times
from speech2unit.corpora.schemas import MANIFEST, REJECTED
from speech2unit.corpora.splits import SEQUENCE, check_splits
from storage import tables
from storage.errors import data_error, nearest, notice, one_of
from storage.schemas import SPLITS

# of a row of config/corpora.tsv; the others are the adapter's
OWN_CELLS = {"corpus", "adapter", "root", "address", "speeds", "label_columns"}


def read_corpus(corpus):
    """The rows that the corpus's adapter finds; `corpus` is a row of config/corpora.tsv. Raises `ValueError`."""
    names = [module.name for module in pkgutil.iter_modules(corpora.__path__)]
    if corpus["adapter"] not in names:
        raise data_error(
            "config/corpora.tsv",
            "`adapter` must be a file of speech2unit/corpora/adapters",
            expected=one_of(corpus["adapter"], names),
            got=f"'{corpus['adapter']}'",
            remedy=f"{nearest(corpus['adapter'], names)}correct the row",
        )
    read_rows = importlib.import_module(f"speech2unit.corpora.adapters.{corpus['adapter']}").read_rows
    used = inspect.signature(read_rows).parameters
    unused = [name for name, cell in corpus.items() if cell and name not in {*used, *OWN_CELLS}]
    if unused:
        raise data_error(
            "config/corpora.tsv",
            f"adapter '{corpus['adapter']}' must use every filled cell",
            expected=f"only {list(used)}",
            got=f"{unused}",
            remedy="empty these cells or choose another adapter",
        )
    whole = dict(start_seconds=0.0, end_seconds=None)
    rows = [whole | row for row in read_rows(**{name: corpus[name] for name in used})]
    _check_columns(rows, corpus)
    return rows


def _check_columns(rows, corpus):
    """Each label has its column, or all of them are one sequence."""
    names = [name for name in corpus["label_columns"].split(",") if name.strip()]
    wrong = next((row for row in rows if len(row["labels"]) != len(names)), None)
    if wrong and names and not corpus["label_columns"].endswith(SEQUENCE):
        raise data_error(
            "config/corpora.tsv",
            "`label_columns` names every label",
            expected=f"{len(wrong['labels'])} names, such as for {wrong['labels']}",
            got=f"{names}",
            remedy="correct the cell; a sequence is one column whose name ends with []",
        )


def check_ids(rows, place):
    """Refuse two rows with one utterance_id."""
    paths = defaultdict(list)
    for row in rows:
        paths[row["utterance_id"]].append(row["path"])
    double = {name: found for name, found in paths.items() if len(found) > 1}
    if double:
        raise data_error(
            place,
            "an utterance_id (the path without its extension, - for /) must be unique",
            expected="one row each",
            got=f"{len(double)} ids of several rows: {_first(double)}",
            remedy="remove rows or rename files",
        )


def check_file(row, *, root, speeds, sample_rate):
    """One file → (its rows of the manifest: speed 1 and, in train, the copies; its rejected rows; whether it clips).

    It is used with all its copies or not at all: a clip that is too short when played faster is rejected too.
    """
    accepted, rejected, clipped = [], [], False
    place = str(Path(root) / row["path"])
    try:
        check_name(row["path"])
        check_name(row["utterance_id"])
        samples, info = decode(place, **segment_times(row))
        clipped = info.clipped
        for speed in (1.0, *speeds) if row["split"] == "train" else (1.0,):
            copy = row if speed == 1 else row | {"utterance_id": f"sp{speed:g}-{row['utterance_id']}"}
            waveform = convert(samples, info.sample_rate, sample_rate=sample_rate, speed=speed, path=place)
            accepted.append(_manifest_row(copy, info, speed, len(waveform), sample_rate))
    except BadAudio as error:
        names = {key: row[key].encode(errors="backslashreplace").decode() for key in ("utterance_id", "path")}
        rejected.append(names | dict(reason=error.reason, detail=error.detail))
        accepted.clear()
    return accepted, rejected, clipped


def _manifest_row(row, info, speed, num_samples, sample_rate):
    measured = dict(speed=speed, num_samples=num_samples, sample_rate=sample_rate, audio_hash=info.audio_hash)
    return row | measured | dict(source_sample_rate=info.sample_rate, source_channels=info.channels)


def check_rejected(rejected, num_files, max_reject_fraction, place):
    """Stop, with a table of the reasons, where too large a part of the files cannot be used."""
    if len(rejected) <= max_reject_fraction * num_files:
        return
    reasons = defaultdict(list)
    for row in rejected:
        reasons[row["reason"]].append(row["path"])
        print(f"{row['path']!a}: {row['reason']}: {row['detail']}")  # as no table is left of a stage that fails
    lines = "".join(f"\n  {reason:12} {len(found):7}  {', '.join(found[:3])}" for reason, found in sorted(reasons.items()))
    raise data_error(
        place,
        "most of a corpus must be usable",
        expected=f"at most {max_reject_fraction:.2%} of the files rejected",
        got=f"{len(rejected)} of {num_files} ({len(rejected) / num_files:.2%}):{lines}\n",
        remedy="repair these files (all of them are in the log, the reasons in speech2unit/corpora/audio.py), or raise "
        "make_manifest.max_reject_fraction in config/config.yaml",
    )


def check_overlap(rows, column, place, *, allowed):
    """A speaker, or the same audio, must not stand in two splits; where that is `allowed` the number is printed."""
    found = defaultdict(dict)
    for row in rows:
        found[row[column]].setdefault(row["split"], row["utterance_id"])
    shared = {
        value: [f"{name} in {split}" for split, name in splits.items()]
        for value, splits in found.items()
        if value is not None and len(splits) > 1
    }
    setting = f"allow_{column.removesuffix('_hash')}_overlap"
    if shared and not allowed:
        raise data_error(
            place,
            f"splits must not share a value of {column}",
            expected="each in one split",
            got=f"{len(shared)} in several: {_first(shared)}",
            remedy="correct the splits (or the speakers; adapter folders reads them by `speaker_pattern` of config/corpora.tsv), or "
            f"set make_manifest.{setting}: true to accept a flattering test",
        )
    print(f"{setting}: {len(shared)} values of {column} in several splits")


def _first(found):
    """The first three of name → texts, in a form that no odd name can break: `'ann': 'a1 in train', 'a2 in test'; …`."""
    parts = [f"{name!a}: {', '.join(map(ascii, texts))}" for name, texts in list(found.items())[:3]]
    return "; ".join(parts) + ("; …" if len(found) > 3 else "")


def _speeds(text):
    """`0.9,1.1` → (0.9, 1.1)."""
    try:
        speeds = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        speeds = (0.0,)
    if len(set(speeds)) < len(speeds) or any(speed == 1 or not 0.5 <= speed <= 2 for speed in speeds):
        raise data_error(
            "config/corpora.tsv",
            "`speeds` are factors of the extra copies",
            expected="0.5 to 2, none twice, not 1, comma separated",
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
    sample_rate,
    max_reject_fraction,
    allow_speaker_overlap,
    allow_audio_overlap,
    num_workers,
):
    """Writes `manifest` (usable files and their speed copies, sorted by utterance_id) and `rejected` (the others).

    `corpus`: a row of config/corpora.tsv, with `speeds` such as "0.9,1.1" for extra copies of the train files; `source`: only
    orders the DAG; `sample_rate` in Hz as the encoder reads. Raises `ValueError` for whatever the corpus breaks.
    """
    found, place = read_corpus(corpus), f"corpus {corpus['corpus']}, {corpus['root']}"
    check_ids(found, place)
    job, settings = delayed(check_file), dict(root=corpus["root"], speeds=_speeds(corpus["speeds"]), sample_rate=sample_rate)
    checked = Parallel(n_jobs=num_workers, prefer="threads")(job(row, **settings) for row in found)  # decoders free the lock
    good, bad = (sorted((row for one in checked for row in one[part]), key=lambda row: row["utterance_id"]) for part in (0, 1))
    originals = [row for row in good if row["speed"] == 1]
    check_rejected(bad, len(found), max_reject_fraction, place)
    check_splits(originals, place, corpus["label_columns"])
    check_overlap(originals, "speaker", place, allowed=allow_speaker_overlap)
    check_overlap(originals, "audio_hash", place, allowed=allow_audio_overlap)
    tables.write(manifest, good, MANIFEST)
    tables.write(rejected, bad, REJECTED)
    converted = sum((row["source_sample_rate"], row["source_channels"]) != (sample_rate, 1) for row in originals)
    splits = Counter(row["split"] for row in originals)
    notice(f"{manifest}: {', '.join(f'{splits[split]} {split}' for split in SPLITS)}, {len(good) - len(originals)} speed copies")
    if bad:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(row["reason"] for row in bad).most_common())
        notice(f"{len(bad)} of {len(found)} files of {corpus['root']} rejected: {reasons}; see {rejected}")
    print(f"{converted} files converted to {sample_rate} Hz mono, {sum(one[2] for one in checked)} clipped")
