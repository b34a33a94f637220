"""The digest of a stage's code: what changes it and what does not."""

import re
import shutil
from pathlib import Path

import pytest

from workflow.scripts.stage_code import PACKAGES, stage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path):
    """Folder with a copy of the packages."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def digest(copy):
    """Function: target → digest of its code in the copy."""
    return lambda target: stage(target, root=copy)["code"](None)


def edit(copy, file, old, new):
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))


def test_reserved_params(copy, digest):
    assert re.fullmatch("[0-9a-f]{12}", digest("ulm.score"))
    assert digest("ulm.score") == digest("ulm.score") != digest("ulm.sample")


@pytest.mark.parametrize("target, file, old, new", [
    ("ulm.score", "ulm/score.py", 'NO_LABEL = "∅"', 'NO_LABEL = "-"'),
    ("ulm.score", "storage/files.py", "indent=2", "indent=4"),
    ("ulm.sample", "ulm/model.py", "FIRST_POSITION = 2", "FIRST_POSITION = 3"),
    ("ulm.tune_prompt", "training/fit.py", "0.5 * (1 +", "0.6 * (1 +"),
    ("verbalizer.fit_verbalizer", "verbalizer/methods.py", ".permutation(num_units)", ".permutation(num_units - 1)"),
    ("superb.tune_encoder", "superb/heads.py", "CTC_BLANK = 0", "CTC_BLANK = 1"),
    ("speech2unit.recipes.pretrain_melhubert", "speech2unit/recipes/augment.py", "rng.uniform(3, 9)", "rng.uniform(3, 8)"),
])  # fmt: skip
def test_an_edit_in_the_module_or_in_one_that_it_imports_changes_the_digest(copy, digest, target, file, old, new):
    before = digest(target)
    edit(copy, file, old, new)
    assert digest(target) != before


@pytest.mark.parametrize("target", ["ulm.score", "verbalizer.apply_verbalizer", "speech2unit.reduce_units"])
def test_an_edit_elsewhere_does_not(copy, digest, target):
    before = digest(target)
    edit(copy, "ulm/prompt.py", "torch.randn(config.dim)", "torch.zeros(config.dim)")
    assert digest(target) == before


@pytest.mark.parametrize("file", [path.name for path in (ROOT / "speech2unit/encoders/architectures").glob("*.py")])
def test_an_edit_of_any_encoder_changes_extract_features(copy, digest, file):
    before = digest("speech2unit.extract_features")
    (copy / "speech2unit/encoders/architectures" / file).open("a").write("\nADDED = 1\n")
    assert digest("speech2unit.extract_features") != before


@pytest.mark.slow
def test_a_new_encoder_and_a_new_corpus_change_the_stages_that_may_load_them(copy, digest):
    before = digest("speech2unit.extract_features"), digest("speech2unit.corpora.make_manifest")
    (copy / "speech2unit/encoders/architectures/new.py").write_text("ADDED = 1\n")
    (copy / "speech2unit/corpora/adapters/new.py").write_text("ADDED = 1\n")
    after = digest("speech2unit.extract_features"), digest("speech2unit.corpora.make_manifest")
    assert all(a != b for a, b in zip(after, before))


def test_with_the_modules_of_a_job_another_encoder_changes_nothing_and_its_own_does(copy):
    def code():
        modules = ["speech2unit.encoders.architectures.melhubert"]
        return stage("speech2unit.extract_features", registry_modules=lambda wildcards: modules, root=copy)["code"](None)

    before = code()
    (copy / "speech2unit/encoders/architectures/new.py").write_text("ADDED = 1\n")
    (copy / "speech2unit/encoders/architectures/cpc.py").open("a").write("\nADDED = 1\n")
    assert code() == before
    edit(copy, "speech2unit/encoders/models/melhubert.py", "F.gelu", "F.relu")
    assert code() != before


def test_comments_docstrings_blank_lines_and_touch_change_nothing(copy, digest):
    before = digest("ulm.score")
    edit(copy, "ulm/score.py", '    """Stage: ', '    """Now it is said in other words: ')
    edit(copy, "ulm/score.py", "NO_LABEL =", "# a comment\n\n\nNO_LABEL =")
    (copy / "storage/files.py").touch()
    assert digest("ulm.score") == before


@pytest.mark.parametrize("file", ["ulm/schemas.py", "speech2unit/schemas.py", "storage/tables.py", "storage/errors.py"])
def test_contracts_stay_out(copy, digest, file):
    before = digest("ulm.score"), digest("speech2unit.extract_features")
    (copy / file).open("a").write("\nADDED = 1\n")
    assert (digest("ulm.score"), digest("speech2unit.extract_features")) == before
