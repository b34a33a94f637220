"""Tensors on disk: sparse ones read back unchanged and take the space of their values other than 0."""

import pytest
import torch

from storage.weights import load_tensors, save_tensors


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7), (8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_sparse_tensor_reads_back(tmp_path, shape, dtype):
    torch.manual_seed(0)
    dense = dict(a=torch.randn(shape).to(dtype) * (torch.rand(shape) < 0.4), b=torch.zeros(shape), c=torch.randn(shape))
    save_tensors(tmp_path / "m.safetensors", dense, sparse=["a", "b"])
    loaded = load_tensors(tmp_path / "m.safetensors")
    assert set(loaded) == set(dense) and all(torch.equal(loaded[name], dense[name]) for name in dense)
    assert loaded["a"].dtype == dtype


@pytest.mark.parametrize("density", [0.1, 0.3, 0.5])
def test_a_sparse_file_holds_values_and_one_bit_per_element(tmp_path, density):
    torch.manual_seed(0)
    tensor = torch.randn(300, 400)
    tensor.view(-1)[torch.randperm(120_000)[int(density * 120_000) :]] = 0
    for name, sparse in dict(dense=[], sparse=["w"]).items():
        save_tensors(tmp_path / name, dict(w=tensor), sparse)
    dense, sparse = ((tmp_path / name).stat().st_size for name in ("dense", "sparse"))
    assert dense > 480_000 and abs(sparse - (480_000 * density + 15_000)) < 1_000
