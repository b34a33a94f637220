"""The model card names metrics with intervals, parts with licences, and sizes."""

from inference.card import card, readable_size

METRIC = dict(
    metric="wer",
    value=0.25,
    value_low=0.2,
    value_high=0.3,
    dev=dict(value=0.2, value_low=0.1, value_high=0.3),
    baselines=dict(majority=dict(value=0.9)),
)
DESCRIPTION = dict(
    task="DIGITS",
    kind="prompt",
    corpus="strings",
    input_kind="audio",
    answer_kind="sequence",
    labels=["one", "two"],
    seeds=[1, 2],
    best_seed=2,
    num_test_rows=60,
    metrics=[METRIC],
    parts=[dict(part="encoder", name="hubert", origin="published: fairseq", licence="MIT")],
)


def test_a_card_says_what_the_bundle_is():
    text = card(DESCRIPTION, {"task.json": 2_000, "unit_lm/model.safetensors": 7_000_000})
    for line in (
        "| wer | test | 0.2500 | 0.2000 to 0.3000 |",
        "| wer | dev | 0.2000 | 0.1000 to 0.3000 |",
        "| wer of the baseline majority | test | 0.9000 |  |",
        "| encoder | hubert | published: fairseq | MIT |",
        "| all | 7.0 MB |",
        "`one`, `two`",
    ):
        assert line in text.splitlines()
    assert "a sequence of 2 symbols" in text and "Seed 2 answers" in text


def test_a_card_names_packages_that_only_some_bundles_need():
    assert "packages" not in card(DESCRIPTION, {})
    assert "Besides the usual packages it needs transformers and peft." in card(
        DESCRIPTION | dict(extra_packages=["transformers", "peft"]), {}
    )


def test_sizes_are_readable():
    assert [readable_size(size) for size in (120, 99_999, 14_300_000)] == ["0.1 kB", "100.0 kB", "14.3 MB"]
