"""Messages name the valid names most similar to the mistake first, and stay short."""

from storage.errors import nearest, one_of

TASKS = ["SCR", *(f"SCR_asc_{i}" for i in range(30)), "ER"]


def test_the_nearest_names_come_first_and_long_lists_are_cut():
    text = one_of("SRC", TASKS)
    assert text.startswith("one of ['SCR', ") and text.endswith(", … 24 more]") and text.count("'") == 2 * 8


def test_short_lists_are_complete():
    assert one_of("zz", ["b", "a"]) == "one of ['a', 'b']"
    assert one_of("b", ["a", "b"]) == "one of ['b', 'a']"
    assert one_of(3, []) == "one of []"


def test_a_hint_only_for_similar_names():
    assert nearest("SRC", TASKS) == 'did you mean "SCR"? ' and nearest("xyz", TASKS) == ""
    assert nearest("scr", TASKS) == 'did you mean "SCR"? '
