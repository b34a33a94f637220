"""How far a long stage is, as its log says."""

from storage.progress import progress


def test_a_run_that_goes_on_counts_what_was_done_before(capsys):
    assert list(progress(range(3), "updates", before=7)) == [0, 1, 2]
    assert capsys.readouterr().err.startswith("10 of 10 updates, 0 s, ")


def test_items_are_counted_where_their_number_is_given(capsys):
    assert list(progress(iter("ab"), "rows", total=2)) == ["a", "b"]
    assert capsys.readouterr().err.startswith("2 of 2 rows, ")
