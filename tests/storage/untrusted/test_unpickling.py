"""What an allowed pickle becomes. Refused pickles are in test_hostile_files.py."""

import argparse
import collections
import enum
import io
import pickle
import sys
import types

import pytest

from storage.untrusted.unpickling import Global, Inert, Unpickler


def load(data):
    return Unpickler(io.BytesIO(data)).load()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_unchanged(protocol):
    value = {
        "a": [1, -2.5, 10**30, True, None, "ä\n", b"x\x00"],
        "b": {"c": (1, 2, 3, 4)},
        "d": collections.OrderedDict(e=1),
        5: "six",
    }
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_objects_are_inert(protocol):
    instance, class_ = load(pickle.dumps([argparse.Namespace(a=1), argparse.Namespace], protocol))
    assert type(instance) is Inert and instance.state == {"a": 1} and class_ == Global("argparse.Namespace")
    with pytest.raises(TypeError):
        class_()


@pytest.mark.parametrize("protocol", [2, 4])
def test_members_of_an_enum_are_inert(protocol, monkeypatch):
    """Python 3.11 pickles them as a call of getattr."""
    module = types.ModuleType("fairseq.choices")
    module.Choices = enum.Enum("Choices", ["sum", "mean"], module="fairseq.choices", qualname="Choices")
    monkeypatch.setitem(sys.modules, "fairseq", types.ModuleType("fairseq"))
    monkeypatch.setitem(sys.modules, "fairseq.choices", module)
    assert type(load(pickle.dumps(module.Choices.sum, protocol))) is Inert


def test_items_with_other_than_plain_keys_are_dropped():
    assert load(pickle.dumps({(1, 2): "x", "a": "y"}, 2)) == {"a": "y"}


def test_an_unpickler_stops_at_the_end_of_its_pickle():
    file = io.BytesIO(pickle.dumps(1) + pickle.dumps({"a": 2}) + b"rest")
    assert [Unpickler(file).load(), Unpickler(file).load(), file.read()] == [1, {"a": 2}, b"rest"]
