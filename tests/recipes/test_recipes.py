"""The recipes as a user starts them, on a small budget."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import keras_hamiltonian as kh
from data_tools.deeph import write_legacy

pytestmark = pytest.mark.slow
RECIPES = pathlib.Path(__file__).parents[2] / "recipes"


def run(recipe, *arguments, folder):
    program = [str(RECIPES / recipe)]
    if not recipe.endswith(".py"):
        program = ["-m", "keras_hamiltonian", recipe]
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
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
        write_legacy(folder / "bismuthene" / name, store[name])
    split = {"train": ["000"], "validate": ["001"], "test": ["002"]}
    (folder / "split.json").write_text(json.dumps(split))
    arguments = ("bismuthene", "--seconds", 4, "--split", "split.json")
    return folder, arguments, run("train", *arguments, folder=folder)


def test_run_leaves_its_files(trained):
    folder, _, output = trained
    run_folder = folder / "runs" / "bismuthene"
    report = json.loads((run_folder / "report.json").read_text())
    assert report["errors"]["worst_structure"] == "002"
    assert report["cpu_seconds"] < 8
    assert report["steps"]["first"] >= 1 and report["steps"]["second"] >= 1
    first = report["first_stage_errors"]
    assert first["mae_all"] != report["errors"]["mae_all"]
    assert f"(first stage {1000 * first['mae_all']:.3f})" in output
    assert not (run_folder / "checkpoint").exists()
    for name in ("bands", "block_errors", "learning_curve", "model", "002"):
        assert (run_folder / report["files"][name]).is_file()
        assert report["files"][name] in output
    assert "MAE_all" in output
    model = kh.load_model(run_folder / report["files"]["model"])
    assert model.provenance["structures"] == ["000"]
    assert model.spin == "noncollinear"
    stage = kh.evaluate(
        model.stage, [kh.HamiltonianStore(run_folder / "data.h5")["002"]]
    )
    assert stage["errors"]["mae_all"] == pytest.approx(first["mae_all"])


def test_a_finished_run_is_not_repeated(trained):
    folder, arguments, output = trained
    again = run("train", *arguments, folder=folder)
    first, *rest = again.splitlines()
    assert first.startswith("Nothing has changed")
    assert rest == output.splitlines()[-len(rest) :]


def test_predict_with_the_model_of_make_train(trained, data_folder):
    folder, *_ = trained
    store = kh.HamiltonianStore(data_folder / "bismuthene.h5")
    store["003"].atoms.write(folder / "new.cif")
    (folder / "runs" / "graphene").mkdir()
    model = folder / "runs" / "bismuthene" / "bismuthene.keras"
    shutil.copy(model, folder / "runs" / "graphene" / "graphene.keras")
    output = run("predict.py", "new.cif", folder=folder)
    assert "Fermi level" in output
    assert (folder / "runs" / "new" / "bands.png").is_file()
    assert (folder / "runs" / "new" / "deeph" / "overlaps.h5").is_file()


def test_predict_folders(trained):
    folder, *_ = trained
    model = folder / "runs" / "bismuthene" / "bismuthene.keras"
    report = json.loads((model.parent / "report.json").read_text())
    bare = folder / "bismuthene" / "bare"
    shutil.copytree(folder / "bismuthene" / "002", bare)
    (bare / "hamiltonians.h5").unlink()
    (bare / "overlaps.h5").unlink()
    arguments = (model, bare.parent / "002", bare, "--uncertainty")
    output = run("predict", *arguments, "--output", "out", folder=folder)
    shutil.rmtree(bare)
    errors = json.loads((folder / "out" / "002.errors.json").read_text())
    expected = report["errors"]["mae_all"]
    assert errors["errors"]["mae_all"] == pytest.approx(expected, rel=1e-3)
    assert output.count("expected error") == 2
    assert (folder / "out" / "bare.uncertainty.json").is_file()
    assert (folder / "out" / "bare" / "overlaps.h5").is_file()
    assert not (folder / "out" / "bare.errors.json").exists()


def test_all_six_with_small_sets(tmp_path):
    arguments = ("--materials", "BB", "--scale", 0.002)
    table = tmp_path / "runs/all_six/table.json"
    output = run("train_all_six.py", *arguments, folder=tmp_path)
    rows = json.loads(table.read_text())
    assert [row["set"] for row in rows] == ["BB"]
    # Rows of materials that are not trained this time stay.
    others = [rows[0] | {"set": "MG"}, rows[0] | {"counts": []}]
    table.write_text(json.dumps(others))
    output = run("train_all_six.py", *arguments, folder=tmp_path)
    new = json.loads(table.read_text())
    assert [row["set"] for row in new] == ["MG", "BB"]
    assert new[1]["counts"] == rows[0]["counts"]
    assert rows[0]["published_cascade"] == [0.172, 0.198]
    assert not rows[0]["is_like_published"]
    assert "do not compare" in output
    assert (tmp_path / "runs/all_six/table.md").read_text() in output


def test_all_six_with_published_folders(trained, data_folder):
    folder, *_ = trained
    twisted = kh.HamiltonianStore(data_folder / "reference_bismuthene.h5")[0]
    write_legacy(folder / "bismuthene" / "twisted", twisted)
    arguments = ("--data", "bismuthene", "--materials", "MG", "BB")
    output = run("train_all_six.py", *arguments, "--scale", 1e-6, folder=folder)
    assert "MG monolayer graphene: none found" in output
    assert "found 3, divided in the same proportions" in output
    rows = json.loads((folder / "runs/all_six/table.json").read_text())
    assert [row["set"] for row in rows] == ["BB", "BB twisted"]
    # Two train, one tests: too few for one that validates.
    assert rows[0]["counts"] == [2, 0, 1]
    assert "structures are written" in output
    again = run("train_all_six.py", *arguments, "--scale", 1e-6, folder=folder)
    assert "structures are written" not in again
    assert "Nothing has changed" in again
    shutil.rmtree(folder / "bismuthene" / "twisted")


def test_ablations_share_the_first_stage_and_are_kept(trained, data_folder):
    folder, *_ = trained
    arguments = (
        "bismuthene",
        "--seconds",
        1,
        "--data",
        "runs/bismuthene/data.h5",
    )
    arguments += ("--split", "split.json", "--parts", "cascade")
    output = run("ablate.py", *arguments, folder=folder)
    table = folder / "runs" / "ablations" / "bismuthene" / "table_cascade.md"
    rows = [r for r in table.read_text().splitlines() if r.startswith("| ")][1:]
    assert len(rows) == 6 and rows[0].endswith("+0 % |")
    assert "A: Transformer, no cascade" in rows[3]
    assert table.read_text() in output
    # All cascades have the same first stage, and their own second one.
    runs = table.parent
    shared = kh.load_model(runs / "shared_42" / "model.keras")
    # A frozen model lists its weights in another order.
    shared.trainable = False
    for name in ("cascade_transformer_42", "c_transformer_no_attention_42"):
        model = kh.load_model(runs / name / "model.keras")
        pairs = zip(model.stage.get_weights(), shared.get_weights())
        assert all((mine == theirs).all() for mine, theirs in pairs)
    again = run("ablate.py", *arguments, folder=folder)
    assert "CPU s:" not in again and table.read_text() in again
