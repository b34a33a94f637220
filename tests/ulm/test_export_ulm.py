"""A unit LM of ours has the same logits in transformers, and can come back as a published one."""

import pytest
import torch

from storage import tables
from storage.weights import save_config, save_tensors
from tests.ulm.test_convert_causal_lm import convert
from ulm.build_vocabulary import index_of_unit, vocabulary_rows
from ulm.causal_lm import load
from ulm.export_ulm import export_ulm
from ulm.schemas import VOCABULARY
from ulm.vocabulary import EOS

NUM_UNITS = 17
ORDER = [int(unit) for unit in torch.randperm(NUM_UNITS, generator=torch.Generator().manual_seed(0))]


@pytest.fixture(params=["numeric", "by frequency, with fillers"])
def vocabulary(request):
    rows = vocabulary_rows(dict.fromkeys(range(NUM_UNITS), 1), NUM_UNITS)
    if request.param != "numeric":
        for row, unit in zip(rows[4:], ORDER):
            row.update(symbol=str(unit), unit=unit)
    fillers = [dict(index=len(rows) + i, symbol=f"madeupword{i}", unit=None, count=0) for i in range(24 - len(rows))]
    return rows + fillers


@pytest.fixture
def exported(lm, vocabulary, tmp_path):
    """The folder that `export_ulm` has written for the unit LM `lm`, and the vocabulary index of each unit."""
    save_tensors(tmp_path / "model.safetensors", lm.state_dict())
    save_config(tmp_path / "config.json", lm.config.to_dict())
    tables.write(tmp_path / "vocabulary.parquet", vocabulary, VOCABULARY)
    folder = tmp_path / "transformers"
    folder.mkdir()
    paths = {name: tmp_path / name for name in ("model.safetensors", "config.json", "vocabulary.parquet")}
    export_ulm(
        model=paths["model.safetensors"],
        config=paths["config.json"],
        vocabulary=paths["vocabulary.parquet"],
        exported_model=folder / "model.safetensors",
        exported_config=folder / "config.json",
    )
    return folder, index_of_unit(tables.read(paths["vocabulary.parquet"], VOCABULARY))


def test_logits_equal_ours(lm, exported):
    from transformers import AutoModelForCausalLM

    folder, index_of = exported
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    units = torch.randint(NUM_UNITS, (2, 40), generator=torch.Generator().manual_seed(1))
    ours = torch.tensor([[EOS, *(index_of[int(unit)] for unit in row)] for row in units])
    theirs = torch.cat([torch.full((2, 1), EOS), units + model.config.offset], 1)
    tokens = [0, 1, 2, 3, *(index_of[unit] for unit in range(NUM_UNITS))]
    with torch.no_grad():
        logits = lm(ours)
        torch.testing.assert_close(model(theirs).logits[..., : len(tokens)], logits[..., tokens], atol=1e-4, rtol=0)
    assert logits.abs().max() > 0.5 and model.num_parameters() == sum(p.numel() for p in lm.parameters())


def test_an_exported_unit_lm_is_a_published_one(lm, exported):
    folder, index_of = exported
    paths = convert(folder, dict(first_unit="config", start="config", separator=0, end="config"), NUM_UNITS)
    restored = load(paths["model"], paths["config"])
    source = [EOS, *range(4, 4 + NUM_UNITS)]
    ours = torch.tensor([[EOS, *(index_of[unit] for unit in range(NUM_UNITS))]])
    with torch.no_grad():
        expected = lm(ours)[..., [EOS, *(index_of[unit] for unit in range(NUM_UNITS))]]
        logits = restored.logits(restored.hidden(restored.embed(torch.tensor([source])))[0])
    torch.testing.assert_close(logits[..., source], expected, atol=1e-4, rtol=0)
