"""Tables and trees that are valid but unusual: every row is in the manifest with the right values, or an error or a notice counts it."""

import csv
import io
import os
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.text import normalize
from tests.factories import MANIFEST_SETTINGS, corpus_row

NUM_EXAMPLES = 110 if os.environ.get("FAULTS") == "all" else 30  # of tables, and as many trees
SETTINGS = settings(max_examples=NUM_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
BLANKS = st.sampled_from(["", "", " ", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u202a", "  "])
BLANKS_OF_FOLDERS = BLANKS.filter(lambda blank: blank != "\t")  # control characters are a bad name
FORMS = st.sampled_from(["NFC", "NFD"])
LABELS = [
    "yes",
    "caf\u00e9",
    "turn on",
    "US$ 5",
    "50%, no",
    "[noise]",
    "\u5f00\u706f",
    "\u0646\u0639\u0645",
    "#no",
    '12" pipe',
    "N/A",
    "\u1ebfn",
]
STEMS = ["clip", "caf\u00e9", "b c", "x.y", "\uac00"]
SAID = ["ok", "well, yes", 'she "said" so', "two\nlines", "one, two\nthree, four, five\n\nsix", ""]
SPLITS = ("train", "dev", "test")
rng = np.random.default_rng(0)


def audio():
    file = io.BytesIO()
    soundfile.write(file, 0.1 * rng.standard_normal(800), 16_000, format="WAV")
    return file.getvalue()


CLIPS = [audio() for _ in range(40)]


def write_clip(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CLIPS[number])


def typed(text, blanks=BLANKS):
    """Strategy of a text as somebody may type it."""
    return st.builds(lambda before, form, after: before + unicodedata.normalize(form, text) + after, blanks, FORMS, blanks)


def run(root, **cells):
    """Return the manifest as utterance_id → (split, speaker, labels), after checking that each path exists."""
    out = root.parent / "out"
    paths = dict(manifest=out / "manifest.parquet", rejected=out / "rejected.parquet")
    make_manifest(**paths, corpus=corpus_row(root, **cells), **MANIFEST_SETTINGS)
    rows = tables.read(paths["manifest"], MANIFEST).to_pylist()
    assert all((root / row["path"]).is_file() for row in rows)
    return {row["utterance_id"]: (row["split"], row["speaker"], tuple(row["labels"])) for row in rows}


TABLE_DAMAGE = [
    "swallow",
    "unclosed",
    "short",
    "long",
    "list",
    "cp1252",
    "backslash",
    "no label",
    "no split",
    "split name",
    "repeated",
    "bell",
]


@st.composite
def unusual_tables(draw):
    """Draw what a table says (utterance_id → values), its bytes, the forms of names on disk, and what is damaged, if anything."""
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=2, max_size=3, unique=True))
    header = ["path", "split", "speaker", "label", "said"]
    meant, cells, files = {}, [], []
    for split in SPLITS:
        for label in labels:
            stem = f"clips/{draw(st.sampled_from(STEMS))}{len(cells)}"
            meant[stem.replace("/", "-")] = (split, f"Zo\u00eb {split}", (label,))
            named = {
                "train": ["train", "Train", "TRAINING"],
                "dev": ["dev", "valid", "Val"],
                "test": ["test", "TEST", "testing"],
            }[split]
            path = draw(typed(f"{stem}.wav"))
            row = [path, draw(typed(draw(st.sampled_from(named)))), draw(typed(f"Zo\u00eb {split}")), draw(typed(label))]
            cells.append([*row, draw(st.sampled_from(SAID))])
            files.append(unicodedata.normalize(draw(FORMS), f"{stem}.wav"))
    is_parquet = draw(st.booleans())
    damage = draw(st.sampled_from([None] * 12 + TABLE_DAMAGE))
    victim = draw(st.integers(0, len(cells) - 2))
    if is_parquet and damage in ("swallow", "unclosed", "short", "long", "cp1252"):
        damage = None
    _damage_cells(cells, damage, victim)
    if is_parquet:
        return (
            meant,
            files,
            damage,
            f"row {victim + 1}",
            "metadata.parquet",
            pandas.DataFrame(cells, columns=[f" {name}" for name in header]),
        )
    delimiter = draw(st.sampled_from(",;\t|"))
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    encoding = "cp1252" if damage == "cp1252" else draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    lines = [draw(st.sampled_from(["", "", f"sep={delimiter}{ends}"]))]
    places = []
    for row in [header, *cells]:
        lines.append(draw(st.sampled_from(["", "", "", ends, delimiter * 4 + ends if len(lines) > 1 else ends])))
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator=ends, quoting=quoting).writerow(
            [cell.replace("\n", ends) for cell in row]
        )
        places.append(_num_lines("".join(lines)) + 1)
        lines.append(_damage_line(line.getvalue(), damage if len(places) == victim + 2 else None, delimiter, ends))
    if damage == "swallow":
        lines[-1] = lines[-1].removesuffix(ends) + f'"{ends}' if not lines[-1].endswith(f'"{ends}') else lines[-1]
    data = "".join(lines).encode(encoding, errors="replace")
    return meant, files, damage, f"line {places[victim + 1]}", "metadata.csv", data


def _num_lines(text):
    return len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1


def _damage_cells(cells, damage, victim):
    row = cells[victim]
    if damage == "list":
        row[3] = "['yes', 'no']"
    elif damage == "backslash":
        row[0] = row[0].replace("/", "\\")
    elif damage == "no label":
        row[3] = " \u00a0"
    elif damage == "no split":
        row[1] = ""
    elif damage == "split name":
        row[1] = "tset"
    elif damage == "repeated":
        cells[victim + 1][0] = row[0]
    elif damage == "bell":
        row[3] += "\a!"
    elif damage == "cp1252":
        row[2] = "Zo\u00eb"
    elif damage in ("swallow", "unclosed"):
        for other in cells:
            other[4] = "ok"


def _damage_line(line, damage, delimiter, ends):
    text = line.removesuffix(ends)
    if damage == "short":
        return text.rpartition(delimiter)[0].rpartition(delimiter)[0] + ends
    if damage == "long":
        return text + delimiter + "more" + ends
    if damage in ("swallow", "unclosed"):
        return text.rpartition(delimiter)[0] + delimiter + '"hello' + ends
    return line


@SETTINGS
@given(unusual_tables())
def check_table(case):
    meant, files, damage, line, name, data = case
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "corpus")
        for number, file in enumerate(files):
            write_clip(root / file, number)
        data.to_parquet(root / name) if name.endswith("parquet") else (root / name).write_bytes(data)
        if damage is None:
            assert run(root, metadata=name) == meant
            return
        with pytest.raises(ValueError) as caught:
            run(root, metadata=name)
        text = str(caught.value)
        assert "; expected " in text and ", got " in text
        if damage not in ("repeated", "cp1252"):
            assert f"{name}, {line}: " in text, (damage, text)


@st.composite
def unusual_trees(draw):
    """Draw what a tree says (utterance_id → values), its files (path → clip, target of a link, or nothing), and how many are left out."""
    labels = draw(
        st.lists(
            st.sampled_from([label for label in LABELS if "/" not in label and label[0] not in "._"]),
            min_size=2,
            max_size=2,
            unique=True,
        )
    )
    meant, files, number = {}, {}, 0
    hidden = set()
    for split in SPLITS:
        for label in labels:
            folder = f"{draw(st.sampled_from([split, split.upper()]))}/{draw(typed(label, BLANKS_OF_FOLDERS))}"
            deep = draw(st.sampled_from(["", "", "session 1/", "a/b/c/"]))
            extension = draw(st.sampled_from([".wav", ".WAV", ".wave"]))
            stem = unicodedata.normalize(draw(FORMS), f"{deep}Zo\u00eb{split}_{number}")
            path = f"{folder}/{stem}{extension}"
            if draw(st.booleans()):
                files[path] = number
            else:  # a link to another disk
                files[f"{folder}/{deep}linked"] = f"../disk{number}"
                name = path.rpartition("/")[2]
                files[f"../disk{number}/{name}"] = number
                path = f"{folder}/{deep}linked/{name}"
            name = "-".join(normalize(part) for part in path.removesuffix(extension).split("/"))
            meant[name] = (split, f"Zo\u00eb{split}", (label,))
            number += 1
            odd = draw(
                st.sampled_from(
                    ["", "", ".ipynb_checkpoints/x_1.wav", ".Trash-1000/files/x_1.wav", "_old/y_1.wav", "Thumbs.db", "._a_1.wav"]
                )
            )
            if odd:
                files[f"{folder}/{deep}{odd}"] = 39
                hidden.add(folder + "/" + deep + odd.partition("/")[0])
            if draw(st.sampled_from([False, False, True])) and "linked" not in path:
                transcript = path.removesuffix(extension) + draw(st.sampled_from([".txt", ".TextGrid"]))
                files[transcript] = 38
                hidden.add(transcript)
    if draw(st.booleans()):
        files["README.md"] = 38
        hidden.add("README.md")
    return meant, files, hidden


@SETTINGS
@given(unusual_trees())
def check_tree(case):
    meant, files, hidden = case
    empty = dict.fromkeys(("metadata", "path_column", "split_column", "speaker_column"), "")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "corpus")
        root.mkdir()
        for path, content in files.items():
            if isinstance(content, str):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).symlink_to(root / content)
            else:
                write_clip(root / path, content)
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", said)
            got = run(root, adapter="folders", **empty)
        assert got == meant
        counted = sum(int(line.split(": ")[-2].split()[0]) for line in said.getvalue().splitlines() if " left out: " in line)
        assert counted == len(hidden), said.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_table, check_tree])
def test_nothing_is_lost_or_invented_in_silence(check, record_property):
    check()
    record_property("injected", NUM_EXAMPLES)
    record_property("detected", NUM_EXAMPLES)
