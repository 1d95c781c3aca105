"""From a saved model and atoms to a Hamiltonian, bands and files."""

import dataclasses
import subprocess
import sys

import ase
import ase.io
import h5py
import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from data_tools.deeph import read_deeph
from data_tools.formats import write_calculation
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.prediction import predict_hamiltonian

SETS = ("reference_graphene", "reference_mos2", "reference_bismuthene")


@pytest.fixture(scope="module")
def models(data_folder, tmp_path_factory):
    """Path of a saved stage, and the calculation it has seen, of each set."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for name in SETS:
        store = kh.HamiltonianStore(data_folder / f"{name}.h5")
        stage = small_stage(store)
        stage.save(folder / f"{name}.keras")
        found[name] = folder / f"{name}.keras", store[0], stage
    return found


@pytest.mark.parametrize("name", SETS)
def test_atoms_are_enough(models, name):
    path, calculation, stage = models[name]
    prediction = kh.predict(path, calculation.atoms, name="new")
    h, reference = prediction.hamiltonian, calculation.hamiltonian
    assert set(h.index) == set(reference.index)
    assert h.entries.dtype == reference.entries.dtype
    assert h.hermitian_error() < 1e-6
    assert prediction.calculation.spin == calculation.spin
    assert prediction.calculation.num_electrons == calculation.num_electrons
    known = [
        calculation.overlap.find(pair) for pair in prediction.overlap.index
    ]
    for block, expected in zip(prediction.overlap.blocks(), known):
        np.testing.assert_allclose(block, expected, atol=1e-5)
    # The file gives the numbers of the model in memory.
    own = predict_hamiltonian(stage, calculation.atoms)
    np.testing.assert_array_equal(own.entries, h.entries)


def test_paths_and_lists(models, data_folder, tmp_path):
    path, calculation, stage = models["reference_graphene"]
    expected = kh.predict(stage, calculation).hamiltonian
    ase.io.write(tmp_path / "new.vasp", calculation.atoms)
    write_calculation(tmp_path / "known.npz", calculation, "npz")
    found = kh.predict(
        stage, [str(tmp_path / "new.vasp"), tmp_path / "known.npz", calculation]
    )
    assert [p.calculation.name for p in found[::2]] == ["new", "prediction"]
    for prediction in found:
        np.testing.assert_allclose(
            prediction.hamiltonian.entries, expected.entries, atol=1e-5
        )
    several = data_folder / "graphene.h5"
    one = kh.predict(stage, several, name="051")
    assert one.calculation.name == "051" and len(one.atoms) == 18
    mine = kh.predict(stage, tmp_path / "new.vasp", name="mine")
    assert mine.calculation.name == "mine"
    with pytest.raises(ValueError, match="structures: .*name="):
        kh.predict(stage, several)
    with pytest.raises(ValueError, match="does not exist|no structure|There"):
        kh.predict(stage, tmp_path / "absent.cif")


def test_blocks_are_those_of_a_batch(models):
    _, calculation, stage = models["reference_mos2"]
    inputs, targets, _ = kh.HamiltonianDataset(
        [calculation], basis=stage.basis
    )[0]
    outputs = stage.predict_on_batch(inputs)
    h = predict_hamiltonian(stage, calculation.atoms)
    atom = int(np.flatnonzero(calculation.atoms.numbers == 42)[0])
    np.testing.assert_allclose(
        h.find((0, 0, 0, atom, atom)), outputs["onsite"][atom], atol=1e-6
    )
    assert outputs["hopping"].shape == targets["hopping"].shape


def test_perfect_prediction_has_the_bands_of_the_calculation(models):
    _, calculation, stage = models["reference_graphene"]
    unknown = dataclasses.replace(calculation, fermi_level=None)
    prediction = kh.Prediction(unknown)
    bands = prediction.bands("GMKG", num_points=30)
    assert bands.gap() < 0.02
    assert bands.labels[0] == (0, "G")
    # The Dirac point of graphene, whatever the grid.
    assert abs(prediction.fermi_level - calculation.fermi_level) < 0.05
    _, _, error = kh.evaluation.compare_bands(prediction, calculation, "GMK", 9)
    assert error["band_mae"] == 0


def test_density_of_states_holds_the_electrons(models):
    _, calculation, _ = models["reference_mos2"]
    unknown = dataclasses.replace(calculation, fermi_level=None)
    prediction = kh.Prediction(unknown)
    dos = prediction.dos((4, 4, 1), broadening=0.05)
    assert dos.integrate() == pytest.approx(26, abs=1e-3)
    assert sorted(dos.projections) == sorted(
        f"{symbol} {letter}" for symbol in ("Mo", "S") for letter in "spd"
    )
    assert not prediction.dos((2, 2, 1), projected=False).projections


def test_written_folder_reads_back(models, tmp_path):
    path, calculation, _ = models["reference_bismuthene"]
    prediction = kh.predict(path, calculation.atoms)
    for _ in range(2):  # a prediction may be replaced
        folder = prediction.write(tmp_path / "deep" / "bi")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["bi"]
    again = read_deeph(folder, {"hamiltonian": "hamiltonians_pred.h5"})
    for pair, block in zip(
        prediction.hamiltonian.index, prediction.hamiltonian.blocks()
    ):
        np.testing.assert_array_equal(again.hamiltonian.find(pair), block)
    assert again.fermi_level == prediction.fermi_level
    assert again.num_electrons == 30
    with (
        h5py.File(folder / "hamiltonians_pred.h5") as h,
        h5py.File(folder / "overlaps.h5") as s,
    ):
        assert set(h) == set(s)


def test_other_files_are_left_alone(models, tmp_path):
    path, calculation, _ = models["reference_graphene"]
    (tmp_path / "overlaps.h5").write_text("precious")
    with pytest.raises(ValueError, match="overlaps.h5"):
        kh.predict(path, calculation.atoms).write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["overlaps.h5"]


def test_missing_element_and_other_basis_are_named(models):
    path, calculation, stage = models["reference_graphene"]
    atoms = ase.Atoms("CSi", [[0, 0, 0], [0, 0, 1.8]])
    message = r"knows C \(2s 2p 1d\); CSi also has Si"
    with pytest.raises(ValueError, match=message):
        kh.predict(path, atoms)
    basis = kh.OrbitalBasis({"C": "2s 2p"})
    with pytest.raises(ValueError, match=r"C the shells 2s 2p 1d.* 2s 2p"):
        stage.check_elements(calculation.atoms, basis)


def test_unknown_electrons_say_so(models):
    path, calculation, _ = models["reference_mos2"]
    atoms = calculation.atoms.copy()
    del atoms[int(np.flatnonzero(atoms.numbers == 16)[0])]
    prediction = kh.predict(path, atoms)
    with pytest.warns(UserWarning, match="electrons MoS has"):
        assert prediction.fermi_level is None
    assert kh.predict(path, atoms, num_electrons=20).fermi_level is not None


def test_bands_without_overlap_say_what_to_do(models):
    _, calculation, stage = models["reference_graphene"]
    overlap, stage.overlap = stage.overlap, None
    try:
        prediction = kh.predict(stage, calculation.atoms)
        with pytest.raises(ValueError, match="no `overlap`.*model.overlap ="):
            prediction.bands()
        given = kh.predict(
            stage, calculation.atoms, overlap=calculation.overlap
        )
        assert given.bands(num_points=3).energies.shape[1] == 26
    finally:
        stage.overlap = overlap


def test_model_file_carries_its_origin(models):
    path, _, stage = models["reference_mos2"]
    again = kh.load_model(path)
    assert again.get_config() == stage.get_config()
    provenance = again.provenance
    assert provenance["seed"] == 7
    assert provenance["sources"][0]["code"] == "OpenMX"
    assert provenance["electron_counts"] == [
        {"composition": {"Mo": 1, "S": 2}, "num_electrons": 26.0}
    ]
    assert provenance["valence_electrons"] == {}


def test_provenance_holds_json_only(models):
    *_, stage = models["reference_graphene"]
    provenance, stage.provenance = stage.provenance, {"array": np.zeros(2)}
    try:
        with pytest.raises(ValueError, match="what JSON can"):
            stage.get_config()
    finally:
        stage.provenance = provenance


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import keras, keras_hamiltonian",
        "import keras_hamiltonian, keras",
        "import keras_hamiltonian as kh; kh.HamiltonianDataset; import keras",
        "import keras_hamiltonian.layers.linear.gate, keras",
    ],
)
def test_plain_keras_loads_the_file(models, imports):
    path, *_ = models["reference_graphene"]
    load = f"keras.models.load_model({str(path)!r}, compile=False)"
    subprocess.run([sys.executable, "-c", f"{imports}; {load}"], check=True)


def test_other_files_are_no_models(tmp_path):
    with pytest.raises(ValueError, match="no model file"):
        kh.load_model(tmp_path / "none.keras")
    inputs = keras.Input((1,))
    keras.Model(inputs, inputs).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="no model of matrix blocks"):
        kh.load_model(tmp_path / "other.keras")
    (tmp_path / "broken.keras").write_text("broken")
    with pytest.raises(ValueError, match="models are .keras files"):
        kh.load_model(tmp_path / "broken.keras")


def test_grid_of_a_layer():
    atoms = ase.Atoms("C", cell=[7.0, 2.0, 40.0], pbc=True)
    assert k_grid(atoms) == (5, 15, 1)
    atoms.pbc = False
    assert k_grid(atoms) == (1, 1, 1)
