"""Tensors of every format that published files have, equal to what the libraries that wrote them say."""

import argparse
import collections
import gzip
import hashlib
import pickle
import zlib

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.cluster import KMeans, MiniBatchKMeans

from storage.untrusted.checkpoints import check_hashes, read_centroids, read_tensors, read_weights

torch.manual_seed(0)
WEIGHTS = {
    "encoder.weight": torch.randn(3, 4),
    "encoder.half": torch.randn(5).half(),
    "encoder.brain": torch.randn(5).bfloat16(),
    "ids": torch.arange(6).view(2, 3),
    "mask": torch.tensor([True, False]),
    "view": torch.randn(4, 6).t()[1:],
    "empty": torch.zeros(0, 3),
    "scalar": torch.tensor(2.5),
}


def saved(content, path, old):
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


@pytest.mark.parametrize("old", [False, True], ids=["zip", "chain of pickles"])
def test_tensors_are_those_that_torch_saved(tmp_path, old):
    content = dict(model=WEIGHTS, args=argparse.Namespace(arch="hubert"), steps=[torch.ones(2), {"x": torch.zeros(1)}], best=1.5)
    path = saved(content, tmp_path / "x.pt", old)
    expected = {f"model.{name}": tensor for name, tensor in WEIGHTS.items()}
    assert same(read_tensors(path), expected | {"steps.0": torch.ones(2), "steps.1.x": torch.zeros(1)})
    assert same(read_weights(path), WEIGHTS)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "chain of pickles"])
def test_tied_tensors_parameters_and_a_modules_state_dict(tmp_path, old):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    found = read_weights(saved(module.state_dict(), tmp_path / "x.pth", old))
    assert same(found, module.state_dict())
    tied = dict(a=module[0].weight, b=module[0].weight, c=collections.defaultdict(list, d=torch.ones(1)))
    found = read_tensors(saved(tied, tmp_path / "y.pth", old))
    assert (
        torch.equal(found["a"], module[0].weight)
        and torch.equal(found["b"], found["a"])
        and torch.equal(found["c.d"], torch.ones(1))
    )


@pytest.mark.parametrize("container", ["model", "model_weight", "weights", None])
def test_a_state_dict_is_found_where_it_lies(tmp_path, container):
    content = {container: WEIGHTS, "optimizer": {"state": torch.ones(3)}} if container else WEIGHTS
    assert same(read_weights(saved(content, tmp_path / "x.pt", False)), WEIGHTS)


def test_safetensors(tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in WEIGHTS.items()}, tmp_path / "x.safetensors")
    assert same(read_tensors(tmp_path / "x.safetensors"), WEIGHTS)


def test_changing_a_tensor_leaves_the_file_alone(tmp_path):
    path = saved(WEIGHTS, tmp_path / "x.pt", False)
    before = path.read_bytes()
    read_tensors(path)["encoder.weight"].zero_()
    assert path.read_bytes() == before


@pytest.mark.parametrize("old", [False, True], ids=["zip", "chain of pickles"])
def test_a_checkpoint_as_fairseq_writes_it(tmp_path, old):
    from fairseq.data import Dictionary
    from fairseq.dataclass.configs import EMAConfig, FairseqConfig
    from fairseq.models.hubert.hubert import HubertConfig
    from omegaconf import OmegaConf

    words = Dictionary()
    for unit in range(500):
        words.add_symbol(str(unit), n=unit)
    parts = [OmegaConf.to_container(OmegaConf.structured(part), enum_to_str=True) for part in (FairseqConfig(), HubertConfig())]
    cfg = OmegaConf.create(parts[0] | dict(model=parts[1], ema=OmegaConf.structured(EMAConfig())))
    content = dict(
        args=argparse.Namespace(arch="hubert", ema=EMAConfig()), cfg=cfg, model=WEIGHTS, task_state=dict(dictionaries=[words]),
        extra_state=dict(metrics=[(0, "loss")], val_loss=np.float64(2.5), steps=np.array([1, 2])), optimizer_history=[{"num_updates": 3}],
        last_optimizer_state=dict(state={0: dict(step=1, exp_avg=torch.ones(4))}),
    )  # fmt: skip
    assert same(read_weights(saved(content, tmp_path / "checkpoint_best.pt", old)), WEIGHTS)


# k-means

FRAMES = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centroids_as_joblib_writes_them(tmp_path, kind, compress, dtype):
    model = kind(10, n_init=1, random_state=np.random.RandomState(3)).fit(FRAMES.astype(dtype))
    joblib.dump(model, tmp_path / "km.bin", compress=compress)
    found = read_centroids(tmp_path / "km.bin")
    assert found.dtype == np.float32 and np.array_equal(found, model.cluster_centers_.astype(np.float32))


def test_centroids_by_columns(tmp_path):
    model = MiniBatchKMeans(10, n_init=1).fit(FRAMES)
    model.cluster_centers_ = np.asfortranarray(model.cluster_centers_)
    joblib.dump(model, tmp_path / "km.bin")
    assert np.array_equal(read_centroids(tmp_path / "km.bin"), model.cluster_centers_)


@pytest.mark.parametrize("module", [b"sklearn.cluster.k_means_", b"sklearn.cluster._kmeans"])
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("numpy_core", [b"numpy._core", b"numpy.core"])
def test_centroids_of_older_versions_and_plain_pickles(tmp_path, module, protocol, numpy_core):
    model = MiniBatchKMeans(10, n_init=1, random_state=np.random.RandomState(3)).fit(FRAMES)
    text = pickle.dumps(model, protocol=protocol)
    (tmp_path / "km.bin").write_bytes(
        _renamed(text, b"sklearn.cluster._kmeans", module, b"numpy._core.multiarray", numpy_core + b".multiarray")
    )
    assert np.array_equal(read_centroids(tmp_path / "km.bin"), model.cluster_centers_)


@pytest.mark.parametrize("compressed", [bytes, zlib.compress, gzip.compress])
def test_centroids_of_an_older_joblib(tmp_path, compressed, monkeypatch):
    """joblib before 1.2 put no padding before an array; scikit-learn before 0.22 had another name for the module."""
    monkeypatch.setattr(joblib.numpy_pickle, "NUMPY_ARRAY_ALIGNMENT_BYTES", None)
    monkeypatch.setattr(joblib.numpy_pickle.NumpyArrayWrapper.__init__, "__defaults__", (False, None))
    model = MiniBatchKMeans(10, n_init=1, random_state=0).fit(FRAMES)
    joblib.dump(model, tmp_path / "new.bin", protocol=3)
    data = (tmp_path / "new.bin").read_bytes()
    old = _renamed(data, b"sklearn.cluster._kmeans", b"sklearn.cluster.k_means_")
    (tmp_path / "km.bin").write_bytes(compressed(old))
    assert old != data and np.array_equal(read_centroids(tmp_path / "km.bin"), model.cluster_centers_)


def _renamed(data, *pairs):
    """A pickle with the names of modules replaced, and their lengths where these stand before them."""
    for old, new in zip(pairs[::2], pairs[1::2]):
        data = data.replace(b"\x8c" + bytes([len(old)]) + old, b"\x8c" + bytes([len(new)]) + new)
        data = data.replace(b"c" + old + b"\n", b"c" + new + b"\n")
    return _without_frames(data) if data[1:2] == b"\x04" else data


def _without_frames(data):
    """Frames give the length of what follows, which is no longer right; they may be left out."""
    import pickletools

    starts = [position for code, _, position in pickletools.genops(data) if code.name == "FRAME"]
    for start in reversed(starts):
        data = data[:start] + data[start + 9 :]
    return data


@pytest.mark.parametrize("change, text", [
    (lambda m: setattr(m, "cluster_centers_", m.cluster_centers_[0]), "centroids float32 (16,)"),
    (lambda m: m.cluster_centers_.__setitem__((2, 3), np.nan), "values that are not finite"),
    (lambda m: delattr(m, "cluster_centers_"), "no k-means model"),
])  # fmt: skip
def test_what_is_no_codebook_is_refused(tmp_path, change, text):
    model = MiniBatchKMeans(10, n_init=1).fit(FRAMES)
    change(model)
    joblib.dump(model, tmp_path / "km.bin")
    with pytest.raises(ValueError, match="km.bin: of a foreign file only tensors are read") as caught:
        read_centroids(tmp_path / "km.bin")
    assert text in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 3, 100, 300])
@pytest.mark.parametrize("old", [False, True], ids=["zip", "chain of pickles"])
def test_a_file_that_was_cut_is_refused(tmp_path, size, old):
    path = saved(dict(model=WEIGHTS), tmp_path / "x.pt", old)
    path.write_bytes(path.read_bytes()[: -size or 0] if size > 3 else path.read_bytes()[:size])
    with pytest.raises(ValueError, match="x.pt: of a foreign file only tensors are read, and nothing is run"):
        read_tensors(path)


def test_hashes(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"abc")
    right, wrong = hashlib.sha256(b"abc").hexdigest(), "0" * 64
    check_hashes([path, path], [right, "-"])
    with pytest.raises(
        ValueError, match=f"x.pt: a checkpoint must be the published one; expected SHA-256 {wrong}, got {right}; delete it"
    ):
        check_hashes([path, path], ["-", wrong])
