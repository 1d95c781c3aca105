"""Files of version 0.1.0 predict what they did; newer ones are refused."""

import json
import pathlib
import zipfile

import ase
import keras
import numpy as np
import pytest

import keras_hamiltonian as kh

FOLDER = pathlib.Path(__file__).parents[1] / "data" / "models_0_1_0"
FILES = sorted(FOLDER.glob("*.keras"))


@pytest.fixture(scope="module")
def atoms():
    """The structure whose blocks lie beside the models."""
    return ase.Atoms(
        "C2H2",
        positions=[
            [0, 0, 0],
            [1.2, 0.1, 0.2],
            [-0.7, 0.9, 0.1],
            [1.8, -0.4, 1.0],
        ],
        cell=[[4.1, 0, 0], [0.3, 4.4, 0], [0, 0.2, 9]],
        pbc=[1, 1, 0],
    )


def test_every_kind_of_stage_is_there():
    kinds = {
        type(stage).__name__
        for file in FILES
        for stage in kh.load_model(file).stages()
    }
    assert kinds == {
        "EquivariantStage",
        "EquivariantTransformerStage",
        "TransformerStage",
        "StandaloneTransformerStage",
    }


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_blocks_are_those_of_then(file, atoms, tmp_path):
    expected = np.load(file.with_suffix(".npz"))
    model = kh.load_model(file)
    for _ in range(2):
        found = kh.predict(model, atoms).hamiltonian
        np.testing.assert_array_equal(found.atom_pairs, expected["atom_pairs"])
        scale = np.abs(expected["entries"]).max()
        difference = np.abs(found.entries - expected["entries"]).max()
        assert difference <= 1e-6 * scale
        # Once more from a file of the present format.
        model.save(tmp_path / "model.keras")
        model = kh.load_model(tmp_path / "model.keras")
    assert model.provenance["structures"] == ["a"]


def test_a_weight_changes_the_blocks(atoms):
    """The comparison would see a weight in the wrong place."""
    file = FOLDER / "equivariant_stage.keras"
    expected = np.load(file.with_suffix(".npz"))["entries"]
    model = kh.load_model(file)
    kernel = model.backbone.groups[0].edge_convolution.radial_kernel
    kernel.assign(keras.ops.roll(kernel, 1, axis=0))
    found = kh.predict(model, atoms).hamiltonian.entries
    assert np.abs(found - expected).max() > 1e-3


def with_version(file, target, version):
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["format_version"] = version
                content = json.dumps(config)
            new.writestr(name, content)


def test_a_newer_file_is_refused_by_name(tmp_path):
    model = kh.load_model(FOLDER / "equivariant_cascade.keras")
    model.save(tmp_path / "model.keras")
    newer = tmp_path / "newer.keras"
    with_version(tmp_path / "model.keras", newer, 99)
    with pytest.raises(ValueError, match="newer.keras.*format 99.*newer"):
        kh.load_model(newer)


def test_keras_alone_says_how_to_read_an_old_file():
    with pytest.raises(Exception, match="kh.load_model"):
        keras.models.load_model(FOLDER / "equivariant_stage.keras")
