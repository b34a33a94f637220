"""The harness: the order of calls, and the content of the record."""

import json
import time

import pytest
import torch

from benchmarks import side_by_side


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "RESULTS", tmp_path)
    return tmp_path


def compare(**changed):
    settings = dict(what="sleep", unit="s/nap", runs=2, aim=1.5)
    return side_by_side.compare("nap", lambda: time.sleep(0.01), lambda: time.sleep(0.04), **settings | changed)


def turns(**settings):
    calls = []
    side_by_side.compare("turns", lambda: calls.append("A"), lambda: calls.append("B"), what="", unit="s", **settings)
    return "".join(calls)


def test_ours_and_the_peer_take_turns_after_the_warm_up(results):
    assert turns(runs=2) == "ABABAB"


def test_a_slow_peer_is_called_less_often_and_not_warmed_up(results):
    assert turns(runs=3, peer_runs=1) == "AABAA"


def test_the_record_is_the_file(results):
    record, written = compare(size=7), json.loads((results / "nap.json").read_text())
    assert 0.01 <= written["ours"] < 0.04 <= written["peer"] and written["ratio"] == pytest.approx(record["ratio"], 1e-5)
    assert written["unit"] == "s/nap" and written["aim"] == 1.5 and written["size"] == 7
    assert [len(written["runs"][who]) for who in ("ours", "peer")] == [2, 2]
    assert {"python", "torch", "faiss-cpu", "fairseq-fixed"} <= written["versions"].keys()
    assert {"cpu", "cores", "threads", "load_before", "load_after"} <= written["machine"].keys()


def test_times_are_those_of_one_item():
    record = compare(items=10, peer_items=2)
    assert record["ours"] < 0.004 and 0.02 <= record["peer"] < 0.04


def test_check_sees_both_results_and_adds_figures():
    same = lambda ours, peer: dict(agree=ours == peer)  # noqa: E731
    assert compare(check=same)["agree"]


def test_where_results_differ_nothing_is_written(results):
    def check(ours, peer):
        raise ValueError("they differ")

    with pytest.raises(ValueError, match="they differ"):
        compare(check=check)
    assert not list(results.iterdir())


def test_the_peak_leaves_the_number_of_threads_alone():
    before = torch.get_num_threads()
    assert side_by_side.matmul_peak(1, torch.float32, size=64, repeats=2) > 1e7
    assert torch.get_num_threads() == before
