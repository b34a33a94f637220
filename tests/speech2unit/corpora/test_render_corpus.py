"""The corpus page: what it counts, that it is valid HTML, and that it needs nothing but itself."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from evaluation.pages import render
from speech2unit.corpora.corpus_template import TEMPLATE
from speech2unit.corpora.render_corpus import choose_clips, class_counts, duration_counts, page_content, render_corpus
from speech2unit.corpora.schemas import MANIFEST, REJECTED
from storage import tables
from tests.factories import corpus_row, manifest_row, manifest_row_of_file

VOID = {"meta", "br", "img", "input", "link", "hr"}
SETTINGS = dict(num_clips=3, max_clip_seconds=0.5, max_rows=2, seed=1)


class Page(HTMLParser):
    """A page that is read, with an assertion that each tag ends where it must."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.ids, self.links, self.sources, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.stack.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        self.sources += [attributes["src"]] if "src" in attributes else []
        assert tag not in ("script", "link", "iframe", "object") and not any(name.startswith("on") for name in attributes)
        assert tag != "audio" or attributes["aria-label"]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.stack and self.stack[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


@pytest.fixture
def corpus(tmp_path):
    """Tables of a corpus: six clips in two splits, an odd label, two clips with one hash, a speed copy, and a rejected file."""
    rng = np.random.default_rng(0)
    rows = []
    for number, label in enumerate(["<b>&", "yes", "no", "yes", "no", "yes"]):
        samples = 0.1 * rng.standard_normal(16_000 if number else 32_000)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16_000)
        split = "train" if number < 4 else "test"
        rows.append(manifest_row_of_file(tmp_path / f"{number}.wav", split=split, speaker=f"s{number}", labels=[label]))
    rows[5]["audio_hash"] = rows[4]["audio_hash"]
    copy = rows[0] | dict(utterance_id="sp0.9-0", speed=0.9)
    tables.write(tmp_path / "manifest.parquet", [*rows, copy], MANIFEST)
    detail = 'an empty file; restore "it"'
    tables.write(
        tmp_path / "rejected.parquet", [dict(utterance_id="x", path="x.wav", reason="not_audio", detail=detail)], REJECTED
    )
    return tmp_path


def test_the_page_is_valid_and_needs_nothing_but_itself(corpus):
    rows = tables.read(corpus / "manifest.parquet", MANIFEST).to_pylist()
    rejected = tables.read(corpus / "rejected.parquet", REJECTED).to_pylist()
    content = page_content(rows[:6], rejected, corpus_row(corpus), max_rows=2)
    page = Page(render(TEMPLATE, content | dict(clips=[], clips_summary="none")))
    assert {link.removeprefix("#") for link in page.links} == set(page.ids) and not page.sources
    text = page.text
    assert "6 clips, 6 speakers, 3 labels, 7.0 s" in text and "test has only 2 clips" in text
    assert "<b>&" in text and '1 not_audio: the file must be audio x.wavan empty file; restore "it"' in text
    assert "4.wav (test, no) = 5.wav (test, yes)" in text and "With different labels: 1." in text
    assert "4 more speakers." in text and "1 more label." in text


def test_clips_are_inside_cut_off_and_as_the_encoder_hears_them(corpus):
    rows = [row for row in tables.read(corpus / "manifest.parquet", MANIFEST).to_pylist() if row["utterance_id"] != "5"]
    tables.write(corpus / "manifest.parquet", rows, MANIFEST)
    paths = {name: corpus / f"{name}.parquet" for name in ("manifest", "rejected")}
    render_corpus(**paths, page=corpus / "page.html", corpus=corpus_row(corpus), **SETTINGS)
    page = Page((corpus / "page.html").read_text())
    assert len(page.sources) == 3 and "3 of 5 clips" in page.text
    for source in page.sources:
        kind, _, data = source.partition(",")
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert kind == "data:audio/flac;base64" and (len(samples), rate) == (8000, 16_000)
    assert "http:" not in (text := (corpus / "page.html").read_text()) and "https:" not in text and "url(" not in text
    for path in corpus.glob("*.wav"):
        soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal(800), 16_000)
    with pytest.raises(ValueError, match="a recording must be the one that its manifest lists"):
        render_corpus(**paths, page=corpus / "page.html", corpus=corpus_row(corpus), **SETTINGS)


def test_clips_are_of_each_label_in_turn():
    rows = [manifest_row(f"{label}{i}", labels=[label]) for label in "abc" for i in range(20 if label == "a" else 2)]
    chosen = choose_clips(rows, 8, seed=1)
    assert [row["labels"][0] for row in chosen] == list("abcabcaa") and len({row["utterance_id"] for row in chosen}) == 8
    assert choose_clips(rows, 8, seed=1) == chosen != choose_clips(rows, 8, seed=2)
    assert len(choose_clips(rows, 100, seed=1)) == 24


def test_every_clip_is_in_one_step_of_the_durations_however_far_they_spread():
    rows = [manifest_row(f"{i}", num_samples=n) for i, n in enumerate([400, 800, 16_000, 16_000, 16_000 * 3000])]
    counts = duration_counts(rows)
    assert [sum(row["counts"].values()) for row in counts["rows"]] == [2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert counts["rows"][0]["name"].startswith("0.025 – ") and counts["rows"][-1]["name"].endswith(" – 3000 s")
    assert duration_counts(rows[2:4])["rows"] == [dict(name="1 s", counts=dict(train=2))]


def test_labels_of_sequences_are_counted_and_rare_ones_left_out_with_a_count():
    rows = [manifest_row("1", labels=["a", "a", "b"]), manifest_row("2", split="test", labels=["a", "c"])]
    counts = class_counts(rows, "letters[]", "letters", max_rows=1)
    assert counts["rows"] == [dict(name="a", counts=dict(train=2, test=1))] and counts["largest"] == 3
    assert counts["left_out"] == "2 more labels." and counts["counted"] == "labels"
