"""Settings of one corpus reach the jobs of that corpus alone."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.scripts.config_files import check_config, default_config
from workflow.scripts.lookups.corpora import intent_settings, listing_settings, manifest_settings, string_settings
from workflow.scripts.rows import read_rows

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "workflow/schemas"
INTENT = dict(action="bring", object="juice", location="none", wordings=["juice please"])
ASC, FSDD = SimpleNamespace(corpus="asc"), SimpleNamespace(corpus="fsdd")


def rows_with(**cells):
    """The rows of config/, with other cells of the corpus asc."""
    lines = (ROOT / "config/corpora.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    index = next(number for number, line in enumerate(lines) if line.startswith("asc\t"))
    row = dict(zip(header, lines[index].split("\t"))) | cells
    lines[index] = "\t".join(row[name] for name in header)
    return read_rows(default_config(), SCHEMAS, {"config/corpora.tsv": "\n".join(lines)})


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
def test_a_cell_of_one_corpus_changes_no_settings_of_another():
    config = default_config()
    before = rows_with()
    after = rows_with(allow_overlap="speaker,audio", max_reject_fraction="0.2", speeds="0.9")
    settings = manifest_settings(after, config, ASC)
    assert settings["allow_overlap"] == ["speaker", "audio"] and settings["max_reject_fraction"] == 0.2
    assert manifest_settings(before, config, ASC) != settings
    assert manifest_settings(after, config, FSDD) == manifest_settings(before, config, FSDD)
    assert manifest_settings(after, config, FSDD)["max_reject_fraction"] == 0.01
    assert listing_settings(rows_with(allow_overlap="speaker"), config, ASC) == listing_settings(before, config, ASC)


@pytest.mark.slow
def test_settings_of_a_corpus_that_is_made_here_can_differ_from_those_of_the_others():
    config = default_config()
    changes = dict(concatenate_clips=dict(pauses=dict(snr_db=30)), synthesize_intents=dict(clip=dict(margin_seconds=[0, 1])))
    changed = config | dict(settings_of_corpora=dict(asc=changes))
    check_config(changed, SCHEMAS / "config.schema.yaml", [])
    rows = rows_with()
    assert string_settings(rows, changed, ASC)["pauses"] == dict(seconds=[0.05, 0.3], snr_db=30)
    assert string_settings(rows, changed, FSDD) == string_settings(rows, config, FSDD)
    assert intent_settings(rows, changed, ASC)["clip"] == config["synthesize_intents"]["clip"] | dict(margin_seconds=[0, 1])
    assert intent_settings(rows, changed, FSDD) == config["synthesize_intents"]


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            dict(concatenate_clips=dict(num_parts=[2, 5])),
            "config.settings_of_corpora.asc.concatenate_clips.num_parts: the key has",
        ),
        (dict(concatenate_clips=dict(seed=-1)), "config.settings_of_corpora.asc.concatenate_clips.seed: "),
        (
            dict(synthesize_intents=dict(intents=[INTENT | dict(room="kitchen")])),
            r"config.settings_of_corpora.asc.synthesize_intents.intents.0.room: the key must be known; .*'location'",
        ),
        (
            dict(synthesize_intents=dict(intents=[INTENT | dict(action={"activate": True})])),
            r"synthesize_intents.intents.0.action.activate: True is not of type 'string'",
        ),
        (dict(make_manifest=dict(sample_rate=8000)), "config.settings_of_corpora.asc.make_manifest: the key must be known"),
    ],
)
def test_wrong_settings_of_a_corpus_are_named(changes, message):
    config = copy.deepcopy(default_config()) | dict(settings_of_corpora=dict(asc=changes))
    with pytest.raises(ValueError, match=message):
        check_config(config, SCHEMAS / "config.schema.yaml", [])


def test_a_corpus_with_settings_must_have_a_row():
    config = default_config() | dict(settings_of_corpora=dict(acs=dict(concatenate_clips=dict(seed=2))))
    with pytest.raises(ValueError, match="config.settings_of_corpora: .* got 'acs'; did you mean \"asc\"?"):
        read_rows(config, SCHEMAS)
