"""What the explanation of a block writes."""

import json

import ase
import pytest
from explained_models import cluster
from explained_models import on_tensorflow
from explained_models import small_cascade
from explained_models import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain import displacement
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.explain.targets import KindTarget


@on_tensorflow
def test_pictures_of_a_block(tmp_path, monkeypatch):
    folder = tmp_path / "pictures"
    model = small_cascade()
    with pytest.raises(ValueError, match="out of the reach"):
        kh.explain.explain_block(
            model, cluster(), BlockTarget(0, 3), folder, 5.0
        )
    assert not folder.exists()
    found = kh.explain.explain_block(
        model, cluster(), BlockTarget(0, 1), folder, 5.0
    )
    assert sorted(found["files"].values()) == sorted(folder.iterdir())
    assert {path.stem for path in folder.iterdir()} == {
        "map",
        "distance",
        "degrees",
        "features",
        "displacement",
        "numbers",
    }
    numbers = json.loads(found["files"]["numbers"].read_text())
    assert numbers["influence"]["size_ev"] == found["influence"].size
    assert len(numbers["features_ev"]) == len(cluster())
    # A kind has no place, and too many numbers for the displacement.
    monkeypatch.setattr(displacement, "MOST_ENTRIES", 16)
    kind = KindTarget("C", "N")
    found = kh.explain.explain_block(
        model, cluster(), kind, tmp_path / "kind", 5.0
    )
    assert not {"distance", "displacement"} & set(found["files"])
    assert found["files"]["map"].is_file()
    assert found["displacement"] is None
    numbers = json.loads(found["files"]["numbers"].read_text())
    assert numbers["displacement"] is None
    assert "16 at most" in numbers["left_out"]["displacement"]
    assert "16 at most" in found["text"] and "Å" not in found["text"]


@on_tensorflow
def test_small_and_empty_crystals(tmp_path):
    """One group: edges have features that count, atoms have none."""
    model = small_stage(num_groups=1, irreps="4x0e")
    wire = ase.Atoms("C", cell=[10, 10, 1.4], pbc=[False, False, True])
    target = BlockTarget(0, 0, (0, 0, 1))
    found = kh.explain.explain_block(model, wire, target, tmp_path, 5.0)
    assert found["influence"].degrees.sum() == 0
    assert set(found["files"]) == {"map", "distance", "degrees", "numbers"}
    assert "No displacement" in found["left_out"]["displacement"]
    lone = ase.Atoms("C", cell=[20, 20, 20], pbc=True)
    apart = cluster() + ase.Atoms("C", [[30, 0, 0]])
    folder = tmp_path / "none"
    with pytest.raises(ValueError, match="No two atoms of C are within"):
        kh.explain.explain_block(model, lone, BlockTarget(0, 0), folder)
    with pytest.raises(ValueError, match=r"Nothing.*on H\(5, 5\)"):
        kh.explain.explain_block(model, apart, BlockTarget(5, 5), folder)
    assert not folder.exists()
