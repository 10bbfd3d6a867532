import copy
import dataclasses
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Architecture, ModelError, find_architecture, reference
from models.ecg_cnn import multiple, spread
from models.find import find_architectures
from models.layers import Add, Conv, Dropout, Sequence, decode, encode, tree_hash


def test_round_trip_keeps_everything(ecg_cnn, draw):
    for architecture in draw(ecg_cnn, 50, max_flops=1e12, max_params=1e12):
        again = Architecture.from_json(architecture.to_json())
        assert again == architecture
        assert again.hash == architecture.hash
        assert again.cost() == architecture.cost()
        assert dict(again.factors) == dict(architecture.factors)
        assert pickle.loads(pickle.dumps(architecture)) == architecture
        assert copy.deepcopy(architecture) == architecture


def test_architecture_cannot_be_changed(ecg_cnn, draw):
    architecture = draw(ecg_cnn, 1)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        architecture.name = "other"
    with pytest.raises(TypeError):
        architecture.factors["depth"] = 1


def test_hash_is_of_what_is_built(ecg_cnn):
    values = {
        "depth": 7, "stages": 4, "width": 31, "width_growth": 1.5, "kernel_size": 5,
        "stem_kernel": 7,
        "expansion": 0.5, "grouping": "dense", "residual": True, "se_ratio": 0.0,
    }  # fmt: skip
    first = ecg_cnn.resolve(values)
    same = {**values, "width_growth": 1.501}  # rounds to the same widths
    assert ecg_cnn.resolve(same).hash == first.hash
    assert ecg_cnn.resolve(same) != first
    changed = {
        "depth": 8, "stages": 5, "width": 40, "width_growth": 1.8, "kernel_size": 3,
        "stem_kernel": 3,
        "expansion": 1.0, "grouping": "group16", "residual": False, "se_ratio": 0.25,
    }  # fmt: skip
    hashes = {ecg_cnn.resolve({**values, name: value}).hash for name, value in changed.items()}
    assert len(hashes | {first.hash}) == len(changed) + 1


def test_hash_ignores_names_nesting_and_repeats():
    flat = Sequence((Conv(8), Conv(8), Conv(8)))
    nested = Sequence((Sequence((Conv(8),), repeat=2, name="block"), Sequence((Conv(8),))))
    assert tree_hash(flat) == tree_hash(nested)
    assert tree_hash(Sequence((Conv(8), Dropout(0.0)))) == tree_hash(Conv(8))
    assert tree_hash(Add((flat, Sequence()))) != tree_hash(flat)
    assert tree_hash(flat) != tree_hash(Sequence((Conv(8), Conv(8))))


def test_hash_is_the_same_in_every_process_and_release(ecg_cnn):
    """A study refers to networks by these: they must not move."""
    values = {
        "depth": 7, "stages": 4, "width": 32, "width_growth": 1.5, "kernel_size": 5,
        "stem_kernel": 7,
        "expansion": 0.5, "grouping": "group16", "residual": True, "se_ratio": 0.25,
    }  # fmt: skip
    assert ecg_cnn.resolve(values).hash == "8028296a19cccc8b"


def test_altered_json_is_refused(ecg_cnn, draw):
    text = draw(ecg_cnn, 1)[0].to_json()
    data = json.loads(text)
    data["layers"][1][0][1][0][1] += 8  # wider stem
    with pytest.raises(ModelError, match="altered"):
        Architecture.from_json(json.dumps(data))
    for wrong in ("", "[]", "{}", "not json", text.replace('"conv"', '"convolution"')):
        with pytest.raises(ModelError, match="expected"):
            Architecture.from_json(wrong)
    with pytest.raises(ModelError, match="version 99"):
        Architecture.from_json(text.replace('"version":1', '"version":99'))


def test_encoding_leaves_out_only_trailing_defaults():
    for layer in (Conv(8), Conv(8, 1, 1, 4), Conv(8, padding="same"), Sequence(), Add(())):
        assert decode(encode(layer)) == layer
    assert encode(Conv(8, 1, 1, 4)) == ["conv", 8, 1, 1, 4]


@given(depth=st.integers(0, 100), stages=st.integers(1, 12))
def test_blocks_are_spread_evenly_and_none_is_lost(depth, stages):
    blocks = spread(depth, stages)
    assert sum(blocks) == depth
    assert len(blocks) == stages
    assert max(blocks) - min(blocks) <= 1
    assert blocks[-1] == max(blocks)


@given(value=st.floats(0.01, 1e5), step=st.sampled_from([8, 16]))
def test_widths_are_the_nearest_multiples(value, step):
    rounded = multiple(value, step)
    assert rounded % step == 0
    assert rounded >= step
    assert rounded == step or abs(rounded - value) <= step / 2


def test_stages_are_as_the_factors_say(ecg_cnn, draw):
    for architecture in draw(ecg_cnn, 50, max_flops=1e12, max_params=1e12):
        factors, rows = architecture.factors, architecture.describe(samples=1024)
        stages = rows[1:-1]
        assert len(stages) == factors["stages"]
        assert sum(row.blocks for row in stages) == factors["depth"]
        assert [row.length for row in stages] == [512 >> (i + 1) for i in range(len(stages))]
        assert abs(stages[0].width - factors["width"]) <= 4
        assert stages[-1].width == pytest.approx(
            factors["width"] * factors["width_growth"] ** (len(stages) - 1), abs=4
        )
        assert all(row.width % 8 == 0 for row in stages)


def test_find_architecture_reads_names_and_files(tmp_path, ecg_cnn, draw):
    architecture = draw(ecg_cnn, 1)[0]
    path = tmp_path / "network.json"
    path.write_text(architecture.to_json())
    assert find_architecture(path) == architecture
    assert find_architecture("resnet18@0.5") == reference("resnet18@0.5")
    with pytest.raises(ModelError, match=r"there are ecgscale-xs, .*xresnet1d18"):
        find_architecture("alexnet")
    with pytest.raises(ModelError, match="expected a readable architecture"):
        find_architecture(tmp_path / "missing.json")


def test_a_folder_stands_for_its_architectures(tmp_path):
    names = ("xresnet1d18@0.5", "resnet18@0.25")
    for number, name in enumerate(names):
        (tmp_path / f"{number}.json").write_text(reference(name).to_json())
    (tmp_path / "notes.txt").write_text("no architecture")
    assert find_architectures(tmp_path) == tuple(map(reference, names))
    assert find_architectures("resnet18") == (reference("resnet18"),)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"in the folder .*empty, got none"):
        find_architectures(tmp_path / "empty")
