"""Layer pruning: the kept blocks keep their weights and learn the parent's layers of their numbers."""

import pytest
import torch

from speech2unit.recipes.prune_layers import keep_layers, prune_layers
from storage import tables
from storage.files import read_json
from storage.schemas import TRAINING


@pytest.mark.parametrize("kept", [[1], [2]])
def test_the_other_blocks_are_removed(transformer, kept):
    model = transformer()
    expected = [model.blocks[number - 1] for number in kept]
    keep_layers(model, kept)
    assert list(model.blocks) == expected


@pytest.mark.parametrize("kept", [[1, 2], [3], [2, 1], [1, 1]])
def test_impossible_layers_are_refused(melhubert, kept):
    with pytest.raises(
        ValueError, match="some of the parent's layers are kept; expected ascending numbers from 1 to 2, fewer than 2"
    ):
        keep_layers(melhubert, kept)
    assert len(melhubert.blocks) == 2


@pytest.mark.slow
@pytest.mark.parametrize("transformer", ["melhubert", "large", "whisper"])
def test_the_stage_writes_an_encoder_with_one_layer(prepare_stage, transformer):
    arguments, load_model, parent = prepare_stage(transformer)
    prune_layers(**arguments, kept_layers=[2], num_updates=2)
    child = load_model("child")
    assert len(child.blocks) == 1 and read_json(arguments["config"])["num_layers"] == 1
    assert child.blocks[0].fc1.weight.shape == parent.blocks[1].fc1.weight.shape
    curve = tables.read(arguments["training"], TRAINING).to_pylist()
    assert [(row["update"], row["measure"]) for row in curve if row["split"] == "dev"] == [
        (0, "loss"), (0, "loss_after_shrinking"), (1, "loss"), (2, "loss"),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_first_layer_has_nothing_to_learn(prepare_stage):
    arguments, load_model, parent = prepare_stage("whisper")
    prune_layers(**arguments, kept_layers=[1], num_updates=0)
    child = load_model("child")
    assert all(torch.equal(a, b) for a, b in zip(child.blocks[0].state_dict().values(), parent.blocks[0].state_dict().values()))
    (_, after) = tables.read(arguments["training"], TRAINING).to_pylist()
    least = float(-torch.nn.functional.logsigmoid(torch.tensor(1.0)))  # the cosine similarity is 1, the squared error 0
    assert after["measure"] == "loss_after_shrinking" and after["value"] == pytest.approx(least, abs=1e-5)
