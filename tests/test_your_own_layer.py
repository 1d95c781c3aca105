"""The module of the notebook on layers of one's own."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys

import ase.io
import keras
import numpy as np
import pytest
from doc_pages import ROOT
from doc_pages import page_text

import keras_hamiltonian as kh

CELL = re.compile(r"^```python\n%%writefile[^\n]*\n(.*?)\n```$", re.M | re.S)
STAGES = {
    "first_stage": "my_module:MyStage",
    "second_stage": "my_module:MyRefinement",
}
# Reads the model of a folder and writes what it predicts for a structure.
PREDICT = """
import sys
import numpy as np
import keras_hamiltonian as kh
model = kh.load_model(sys.argv[1])
store = kh.HamiltonianStore(sys.argv[2])
blocks = kh.predict(model, store.atoms(0)).hamiltonian
np.save(sys.argv[3], blocks.entries)
"""
# Influence on one block; tf-keras-vis needs TensorFlow.
EXPLAIN = """
import sys
import keras_hamiltonian as kh
kh.explain.use_tensorflow()
model = kh.load_model(sys.argv[1])
store = kh.HamiltonianStore(sys.argv[2])
target = kh.explain.BlockTarget(0, 1)
found = kh.explain.saliency(model, store.atoms(0), target, samples=2)
assert found.atom_influence.max() > 0
"""

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="the others are started here"
)


def written_cells():
    """What the notebook writes into the module, cell by cell."""
    page = ROOT / "docs" / "notebooks" / "your_own_layer.ipynb"
    return CELL.findall(page_text(page))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the module of the page and three small structures."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_module.py").write_text("\n\n".join(written_cells()))
    store = kh.HamiltonianStore(ROOT / "recipes" / "data" / "mos2.h5")
    few = [store[name] for name in store.names[:3]]
    kh.HamiltonianStore.write(folder / "set.h5", few)
    names = [calculation.name for calculation in few]
    kh.data.Split(*([name] for name in names)).write(folder / "set.split.json")
    return folder


@pytest.fixture(scope="module")
def module(folder):
    """The module, imported as Python does."""
    sys.path.insert(0, str(folder))
    spec = importlib.util.find_spec("my_module")
    found = importlib.util.module_from_spec(spec)
    sys.modules["my_module"] = found
    spec.loader.exec_module(found)
    yield found
    sys.path.remove(str(folder))
    del sys.modules["my_module"]


@pytest.fixture(scope="module")
def report(folder, module):
    settings = kh.training.TrainingSettings(**STAGES, steps=8)
    return kh.train(
        folder / "set.h5", settings=settings, folder=folder / "mine"
    )


def run(folder, code, *arguments, backend="torch"):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_piece_is_short():
    classes = [
        node
        for node in ast.parse("\n".join(written_cells())).body
        if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) == 4
    for node in classes:
        assert node.end_lineno - node.lineno < 20, node.name


@pytest.mark.slow
def test_training_improves_the_model(folder, report):
    steps = report["steps"]
    assert steps["first"] == 6 and steps["second"] == 2
    assert np.isfinite(report["errors"]["mae_all"])
    model = kh.load_model(folder / "mine" / report["files"]["model"])
    kinds = [type(stage).__name__ for stage in model.stages()]
    assert kinds == ["MyStage", "MyRefinement"]
    before, after = report["first_stage_errors"], report["errors"]
    assert before["mae_all"] != after["mae_all"]


@pytest.mark.slow
def test_symmetry(report):
    """Own layers from equivariant ones: what is left is rounding."""
    assert report["equivariance"]["relative"] < 1e-4


@pytest.mark.slow
def test_command_line(folder, report):
    options = [f"--{k.replace('_', '-')}={v}" for k, v in STAGES.items()]
    command = "from keras_hamiltonian.cli import main; main()"
    words = ("train", "set.h5", *options, "--steps", "4", "-o", "by_command")
    assert "MAE_all" in run(folder, command, *words)
    found = json.loads((folder / "by_command" / "report.json").read_text())
    assert found["settings"]["first_stage"] == STAGES["first_stage"]
    store = kh.HamiltonianStore(folder / "set.h5")
    ase.io.write(folder / "new.xyz", store.atoms(0))
    file = "by_command/set.keras"
    run(folder, command, "predict", file, "new.xyz", "-o", "out")
    assert list((folder / "out").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_every_backend_predicts_the_same(folder, report, backend):
    pytest.importorskip(backend)
    model = folder / "mine" / report["files"]["model"]
    target = folder / f"{backend}.npy"
    run(folder, PREDICT, model, "set.h5", target, backend=backend)
    store = kh.HamiltonianStore(folder / "set.h5")
    expected = kh.predict(model, store.atoms(0)).hamiltonian.entries
    scale = np.abs(expected).max()
    assert np.abs(np.load(target) - expected).max() < 1e-5 * scale


@pytest.mark.slow
def test_explained_here(folder, report):
    model = kh.load_model(folder / "mine" / report["files"]["model"])
    store = kh.HamiltonianStore(folder / "set.h5")
    corrections = kh.explain.stage_corrections(model, [store[2]])
    assert corrections.result["all"]["correction"] > 0
    environments = kh.explain.EnvironmentMap(model, [store[0]])
    assert np.isfinite(environments.place([store[2]]).novelty).all()


@pytest.mark.slow
def test_influence(folder, report):
    pytest.importorskip("tf_keras_vis")
    model = folder / "mine" / report["files"]["model"]
    run(folder, EXPLAIN, model, "set.h5", backend="tensorflow")


def test_a_part_by_name_in_the_options(folder, module):
    options = {
        "radial": {"class": "my_module:Bessel", "size": 5},
        "interaction": "my_module:OneConvolution",
        "irreps": "8x0e + 4x1o + 4x2e",
        "projectors": "",
    }
    basis, reaches = {"H": "1s 1p"}, {"H": 2.0}
    stage = kh.models.EquivariantStage(basis, reaches, **options)
    assert stage.backbone.geometry.radial.size == 5
    again = kh.models.EquivariantStage.from_config(stage.get_config())
    assert type(again.backbone.groups[0]) is module.OneConvolution


def test_a_module_that_is_missing_is_named(folder, report, monkeypatch):
    model = folder / "mine" / report["files"]["model"]
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(folder)])
    monkeypatch.delitem(sys.modules, "my_module")
    with pytest.raises(ValueError, match="module 'my_module'.*cannot be impo"):
        kh.load_model(model)
