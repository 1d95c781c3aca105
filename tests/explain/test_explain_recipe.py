"""The recipe and what it writes, from a file of another backend."""

import argparse
import json
import os
import pathlib
import runpy
import subprocess
import sys
import types

import ase
import ase.build
import pytest
from explained_models import cluster
from explained_models import on_tensorflow
from explained_models import small_cascade
from explained_models import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain import displacement
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.explain.targets import KindTarget

RECIPE = pathlib.Path(__file__).parents[2] / "recipes" / "explain.py"


def run(folder, *words):
    return subprocess.run(
        [sys.executable, RECIPE, *map(str, words)],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )


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


@on_tensorflow
def test_recipe(untrained_file, tmp_path):
    ase.build.graphene(vacuum=7.5).write(tmp_path / "sheet.xyz")
    done = run(
        tmp_path,
        "graphene",
        "--model",
        untrained_file,
        "--structure",
        "sheet.xyz",
        "--rows",
        "s1",
        "--columns",
        "s1",
        "--width",
        "3",
    )
    assert done.returncode == 0, done.stderr
    assert "H(0, 1) s1-s1" in done.stdout
    folder = tmp_path / "runs" / "explain" / "graphene"
    assert (folder / "map.png").is_file()


def test_missing_model(tmp_path):
    done = run(tmp_path, "mos2")
    assert done.returncode == 1
    assert "make train MATERIAL=mos2" in done.stderr
    assert "Traceback" not in done.stderr


def test_data_of_a_name_and_of_a_file(tmp_path):
    recipe = types.SimpleNamespace(**runpy.run_path(str(RECIPE)))
    options = argparse.Namespace(material="bismuthene", structure=None)
    store, split = recipe.open_data(options)
    training, held_out = recipe.read_data(options)
    assert [c.name for c in training] == list(split.train)
    assert [c.name for c in held_out] == list(split.test)
    assert all(c.hamiltonian is not None for c in held_out)
    assert recipe.read_structure(options) == store[split.test[0]].atoms
    options.structure = split.train[1]
    assert recipe.read_structure(options) == store[split.train[1]].atoms
    assert len(recipe.read_data(options)[0]) == len(split.train)
    # What a user has drawn is not to be compared with these.
    options.structure = tmp_path / "sheet.xyz"
    cluster().write(options.structure)
    assert len(recipe.read_structure(options)) == len(cluster())
    assert recipe.read_data(options) == ([], [])
    options.structure = "none"
    with pytest.raises(SystemExit, match="none is no file.*structures 0"):
        recipe.read_structure(options)
