"""Progress of a long stage in its log."""

from storage.progress import progress


def test_a_resumed_run_counts_what_was_done_before(capsys):
    assert list(progress(range(3), "updates", done_before=7)) == [0, 1, 2]
    assert capsys.readouterr().err.startswith("10 of 10 updates, 0 s, ")


def test_the_number_of_items_may_be_given(capsys):
    assert list(progress(iter("ab"), "rows", total=2)) == ["a", "b"]
    assert capsys.readouterr().err.startswith("2 of 2 rows, ")
