"""Tensors in every format of published files: equal to those that the original libraries wrote."""

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

from storage.untrusted.checkpoints import check_hashes, read_centroids, read_entry, read_tensors, read_weights

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


def save(content, path, legacy):
    """Save with torch, also in the format before PyTorch 1.6, and return the path."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def equal_tensors(read, expected):
    return read.keys() == expected.keys() and all(
        read[name].dtype == tensor.dtype and torch.equal(read[name], tensor) for name, tensor in expected.items()
    )


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_tensors_are_those_that_torch_saved(tmp_path, legacy):
    content = dict(model=WEIGHTS, args=argparse.Namespace(arch="hubert"), steps=[torch.ones(2), {"x": torch.zeros(1)}], best=1.5)
    path = save(content, tmp_path / "x.pt", legacy)
    expected = {f"model.{name}": tensor for name, tensor in WEIGHTS.items()}
    assert equal_tensors(read_tensors(path), expected | {"steps.0": torch.ones(2), "steps.1.x": torch.zeros(1)})
    assert equal_tensors(read_weights(path), WEIGHTS)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_tied_tensors_parameters_and_a_modules_state_dict(tmp_path, legacy):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    weights = read_weights(save(module.state_dict(), tmp_path / "x.pth", legacy))
    assert equal_tensors(weights, module.state_dict())
    tied = dict(a=module[0].weight, b=module[0].weight, c=collections.defaultdict(list, d=torch.ones(1)))
    tensors = read_tensors(save(tied, tmp_path / "y.pth", legacy))
    assert torch.equal(tensors["a"], module[0].weight) and torch.equal(tensors["b"], tensors["a"])
    assert torch.equal(tensors["c.d"], torch.ones(1))


@pytest.mark.parametrize("container", ["model", "model_weight", "weights", "model_state_dict", None])
def test_the_state_dict_is_found_under_any_known_key(tmp_path, container):
    content = {container: WEIGHTS, "optimizer": {"state": torch.ones(3)}} if container else WEIGHTS
    assert equal_tensors(read_weights(save(content, tmp_path / "x.pt", False)), WEIGHTS)


def test_safetensors(tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in WEIGHTS.items()}, tmp_path / "x.safetensors")
    assert equal_tensors(read_tensors(tmp_path / "x.safetensors"), WEIGHTS)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_plain_values_under_a_key(tmp_path, legacy):
    path = save(dict(model=WEIGHTS, steps=[{0: [1, 2]}, {3: []}]), tmp_path / "x.pt", legacy)
    assert read_entry(path, "steps") == [{0: [1, 2]}, {3: []}] and read_entry(path, "other") is None
    save_file({"w": torch.ones(1)}, tmp_path / "x.safetensors")
    assert read_entry(tmp_path / "x.safetensors", "w") is None


def test_changing_a_tensor_leaves_the_file_alone(tmp_path):
    path = save(WEIGHTS, tmp_path / "x.pt", False)
    before = path.read_bytes()
    read_tensors(path)["encoder.weight"].zero_()
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_checkpoint_as_fairseq_writes_it(tmp_path, legacy):
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
        args=argparse.Namespace(arch="hubert", ema=EMAConfig()),
        cfg=cfg,
        model=WEIGHTS,
        task_state=dict(dictionaries=[words]),
        extra_state=dict(metrics=[(0, "loss")], val_loss=np.float64(2.5), steps=np.array([1, 2])),
        optimizer_history=[{"num_updates": 3}],
        last_optimizer_state=dict(state={0: dict(step=1, exp_avg=torch.ones(4))}),
    )
    assert equal_tensors(read_weights(save(content, tmp_path / "checkpoint_best.pt", legacy)), WEIGHTS)


# k-means

FRAMES = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centroids_as_joblib_writes_them(tmp_path, kind, compress, dtype):
    model = kind(10, n_init=1, random_state=np.random.RandomState(3)).fit(FRAMES.astype(dtype))
    joblib.dump(model, tmp_path / "km.bin", compress=compress)
    centroids = read_centroids(tmp_path / "km.bin")
    assert centroids.dtype == np.float32 and np.array_equal(centroids, model.cluster_centers_.astype(np.float32))


def test_centroids_in_column_major_order(tmp_path):
    model = MiniBatchKMeans(10, n_init=1).fit(FRAMES)
    model.cluster_centers_ = np.asfortranarray(model.cluster_centers_)
    joblib.dump(model, tmp_path / "km.bin")
    assert np.array_equal(read_centroids(tmp_path / "km.bin"), model.cluster_centers_)


@pytest.mark.parametrize("module", [b"sklearn.cluster.k_means_", b"sklearn.cluster._kmeans"])
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("numpy_core", [b"numpy._core", b"numpy.core"])
def test_centroids_of_older_versions_and_plain_pickles(tmp_path, module, protocol, numpy_core):
    model = MiniBatchKMeans(10, n_init=1, random_state=np.random.RandomState(3)).fit(FRAMES)
    data = pickle.dumps(model, protocol=protocol)
    names = {b"sklearn.cluster._kmeans": module, b"numpy._core.multiarray": numpy_core + b".multiarray"}
    (tmp_path / "km.bin").write_bytes(_rename_modules(data, names))
    assert np.array_equal(read_centroids(tmp_path / "km.bin"), model.cluster_centers_)


@pytest.mark.parametrize("compressed", [bytes, zlib.compress, gzip.compress])
def test_centroids_of_an_older_joblib(tmp_path, compressed, monkeypatch):
    """joblib before 1.2 wrote no padding before an array; scikit-learn before 0.22 had another name for the module."""
    monkeypatch.setattr(joblib.numpy_pickle, "NUMPY_ARRAY_ALIGNMENT_BYTES", None)
    monkeypatch.setattr(joblib.numpy_pickle.NumpyArrayWrapper.__init__, "__defaults__", (False, None))
    model = MiniBatchKMeans(10, n_init=1, random_state=0).fit(FRAMES)
    joblib.dump(model, tmp_path / "new.bin", protocol=3)
    data = (tmp_path / "new.bin").read_bytes()
    old = _rename_modules(data, {b"sklearn.cluster._kmeans": b"sklearn.cluster.k_means_"})
    (tmp_path / "km.bin").write_bytes(compressed(old))
    assert old != data and np.array_equal(read_centroids(tmp_path / "km.bin"), model.cluster_centers_)


def _rename_modules(data, names):
    """Replace names of modules in a pickle, with the lengths that some protocols write before a name."""
    for old, new in names.items():
        data = data.replace(b"\x8c" + bytes([len(old)]) + old, b"\x8c" + bytes([len(new)]) + new)
        data = data.replace(b"c" + old + b"\n", b"c" + new + b"\n")
    return _without_frames(data) if data[1:2] == b"\x04" else data


def _without_frames(data):
    """Drop the frames of a pickle, which are optional: the lengths in them are wrong after a rename."""
    import pickletools

    starts = [position for code, _, position in pickletools.genops(data) if code.name == "FRAME"]
    for start in reversed(starts):
        data = data[:start] + data[start + 9 :]
    return data


@pytest.mark.parametrize(
    "change, got",
    [
        (lambda model: setattr(model, "cluster_centers_", model.cluster_centers_[0]), "centroids float32 (16,)"),
        (lambda model: model.cluster_centers_.__setitem__((2, 3), np.nan), "values that are not finite"),
        (lambda model: delattr(model, "cluster_centers_"), "no k-means model"),
    ],
)
def test_other_content_is_not_a_codebook(tmp_path, change, got):
    model = MiniBatchKMeans(10, n_init=1).fit(FRAMES)
    change(model)
    joblib.dump(model, tmp_path / "km.bin")
    with pytest.raises(ValueError, match="km.bin: only tensors are read from a foreign file") as caught:
        read_centroids(tmp_path / "km.bin")
    assert got in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 3, 100, 300])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_that_was_cut_is_refused(tmp_path, size, legacy):
    path = save(dict(model=WEIGHTS), tmp_path / "x.pt", legacy)
    path.write_bytes(path.read_bytes()[: -size or 0] if size > 3 else path.read_bytes()[:size])
    with pytest.raises(ValueError, match="x.pt: only tensors are read from a foreign file, and nothing in it is run"):
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
