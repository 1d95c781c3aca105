"""The recipes as a user starts them, on a small budget."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import keras_hamiltonian as kh
from data_tools.deeph import write_legacy

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"


def run(recipe, *arguments, folder):
    done = subprocess.run(
        [sys.executable, str(RECIPES / recipe), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(data_folder, tmp_path_factory):
    """A run on three bismuthene structures in DeepH folders: spin-orbit."""
    folder = tmp_path_factory.mktemp("recipes")
    store = kh.HamiltonianStore(data_folder / "bismuthene.h5")
    for name in store.names[:3]:
        write_legacy(folder / "set" / name, store[name])
    split = {"train": ["000"], "validate": ["001"], "test": ["002"]}
    (folder / "split.json").write_text(json.dumps(split))
    arguments = ("bismuthene", "--seconds", 4, "--data", "set")
    arguments += ("--split", "split.json")
    return folder, arguments, run("train_one.py", *arguments, folder=folder)


def test_run_leaves_its_files(trained):
    folder, _, output = trained
    run_folder = folder / "runs" / "bismuthene"
    report = json.loads((run_folder / "report.json").read_text())
    assert report["errors"]["worst_structure"] == "002"
    assert report["cpu_seconds"] < 8
    for name in ("bands", "block_errors", "learning_curve", "model", "002"):
        assert (run_folder / report["files"][name]).is_file()
        assert report["files"][name] in output
    assert "MAE_all" in output
    model = kh.load_model(run_folder / report["files"]["model"])
    assert model.provenance["structures"] == ["000"]
    assert model.spin == "noncollinear"


def test_a_finished_run_is_not_repeated(trained):
    folder, arguments, output = trained
    again = run("train_one.py", *arguments, folder=folder)
    first, *rest = again.splitlines()
    assert first.startswith("Nothing has changed")
    assert rest == output.splitlines()[-len(rest) :]


def test_predict_from_a_structure_file(trained, data_folder):
    folder, *_ = trained
    store = kh.HamiltonianStore(data_folder / "bismuthene.h5")
    store["003"].atoms.write(folder / "new.cif")
    model = folder / "runs" / "bismuthene" / "bismuthene.keras"
    output = run("predict.py", model, "new.cif", folder=folder)
    assert "Fermi level" in output
    assert (folder / "runs" / "new" / "bands.png").is_file()
    assert (folder / "runs" / "new" / "deeph" / "overlaps.h5").is_file()
