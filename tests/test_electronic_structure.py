"""One crystal, asked for everything, against what OpenMX says of it."""

import dataclasses

import ase
import numpy as np
import pytest
from printed_bands import DATA
from printed_bands import NAMES
from printed_bands import printed_bands
from small_stages import small_stage

import keras_hamiltonian as kh
from data_tools.deeph import read_legacy
from data_tools.formats import read_calculation
from data_tools.openmx import read_scfout
from keras_hamiltonian.conventions import HARTREE_IN_EV


@pytest.fixture(scope="module", params=NAMES)
def calculation(request, tmp_path_factory):
    """From the raw file by way of a store."""
    raw = read_scfout(DATA / f"{request.param}.scfout.gz")
    path = tmp_path_factory.mktemp("store") / "set.h5"
    return kh.HamiltonianStore.write(path, [raw])[0]


@pytest.fixture(scope="module")
def mos2(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_mos2.h5")


def without(calculation, **fields):
    """A calculation that does not know its level, and whatever else."""
    fields = {"fermi_level": None, **fields}
    return dataclasses.replace(calculation, **fields)


def test_bands_and_level_are_those_that_openmx_printed(calculation):
    level, k_points, expected = printed_bands(calculation.name)
    crystal = kh.ElectronicStructure(calculation)
    assert crystal.fermi_level == pytest.approx(level * HARTREE_IN_EV, abs=1e-9)
    path = kh.physics.KPath.from_points(k_points[::3], crystal.atoms.cell)
    bands = crystal.bands(path)
    assert bands.fermi_level == crystal.fermi_level
    found = bands.energies[:, : expected.shape[1]] / HARTREE_IN_EV
    np.testing.assert_allclose(found, expected[::3], rtol=0, atol=2e-9)


def test_the_level_follows_from_the_electrons_and_back(calculation):
    electrons = {"C": 4, "Bi": 15}
    number = {"C2": 8, "Bi2": 30}[calculation.atoms.get_chemical_formula()]
    for known, options in (
        (without(calculation), {}),
        (without(calculation, num_electrons=None), {"num_electrons": number}),
        # Electrons that are given move a level that is known.
        (calculation, {"num_electrons": electrons}),
    ):
        crystal = kh.ElectronicStructure(known, **options)
        assert crystal.has_fermi_level
        assert crystal.num_electrons == pytest.approx(number)
        # Openmx has another grid, and no gap in graphene.
        assert crystal.fermi_level != calculation.fermi_level
        assert abs(crystal.fermi_level - calculation.fermi_level) < 0.3
    bare = dataclasses.replace(calculation, num_electrons=None)
    assert kh.ElectronicStructure(bare).num_electrons == number
    given = kh.ElectronicStructure(calculation, fermi_level=-1.5)
    assert given.fermi_level == given.completed().fermi_level == -1.5


def test_density_of_states_holds_the_electrons(calculation):
    crystal = kh.ElectronicStructure(without(calculation))
    dos = crystal.dos((3, 3, 1), broadening=0.05)
    assert dos.integrate() == pytest.approx(crystal.num_electrons, abs=0.3)
    assert dos.integrate(dos.energies[-1]) == pytest.approx(
        (1 if crystal.spin != "none" else 2) * crystal.size, abs=1e-3
    )
    symbol = crystal.atoms.symbols[0]
    assert set(dos.projections) == {f"{symbol} {l}" for l in "spd"}
    assert not crystal.dos((1, 1, 1), projected=False).projections


def test_states_near_the_level_are_some_of_all(calculation):
    crystal = kh.ElectronicStructure(calculation)
    k_point = [0.1, 0.2, 0]
    everything = crystal.states(k_point)
    assert len(everything.energies) == crystal.size
    assert crystal.states(k_point, coefficients=False).coefficients is None
    distance = np.abs(everything.energies - crystal.fermi_level)
    nearest = np.sort(everything.energies[np.argsort(distance)[:4]])
    found = crystal.states(k_point, 4)
    np.testing.assert_allclose(found.energies, nearest, atol=1e-8)
    lowest = crystal.states(k_point, 1, energy=-1e3)
    assert lowest.energies[0] == pytest.approx(everything.energies[0])


def test_gap_of_a_semiconductor(mos2):
    crystal = kh.ElectronicStructure(mos2[0])
    gap = crystal.gap((6, 6, 1))
    assert gap.gap == pytest.approx(1.71, abs=0.02)
    assert 0 < gap.gap <= gap.direct_gap
    assert kh.ElectronicStructure(mos2[0], workers=2).gap(
        (6, 6, 1)
    ).gap == pytest.approx(gap.gap, abs=1e-9)


def test_what_is_missing_is_said(calculation):
    formula = calculation.atoms.get_chemical_formula()
    unknown = kh.ElectronicStructure(without(calculation, num_electrons=None))
    assert not unknown.has_fermi_level and unknown.num_electrons is None
    with pytest.warns(UserWarning, match=f"valence electrons {formula} has"):
        assert unknown.fermi_level is None
    assert unknown.bands(num_points=2).fermi_level is None
    with pytest.raises(ValueError, match="Give `energy`"):
        unknown.states([0, 0, 0], 2)
    assert unknown.completed() is unknown.calculation
    for field, hint in (
        ("overlap", "model.overlap"),
        ("hamiltonian", "predict"),
    ):
        bare = kh.ElectronicStructure(
            dataclasses.replace(calculation, **{field: None})
        )
        assert bare.fermi_level == calculation.fermi_level
        with pytest.raises(ValueError, match=f"no `{field}`.*{hint}"):
            bare.bands()
    with pytest.raises(ValueError, match="whose valence"):
        kh.ElectronicStructure(calculation, num_electrons={"S": 6})


def test_a_model_gives_what_is_missing(mos2):
    stage = small_stage(mos2)
    known = mos2[0]
    bare = without(known, overlap=None, num_electrons=None)
    crystal = kh.ElectronicStructure(bare, stage)
    assert crystal.hamiltonian is known.hamiltonian
    assert crystal.num_electrons == 26
    exact = kh.ElectronicStructure(known)
    energies = [c.bands("GK", 3).energies[:, :13] for c in (crystal, exact)]
    np.testing.assert_allclose(*energies, atol=1e-3)
    # Nothing that is known is replaced, and the calculation is left as it was.
    assert kh.ElectronicStructure(known, stage).overlap is known.overlap
    assert bare.overlap is bare.num_electrons is None
    carbon = kh.Calculation(ase.Atoms("C"), kh.OrbitalBasis({"C": "2s"}))
    with pytest.raises(ValueError, match="also has C"):
        kh.ElectronicStructure(carbon, stage)


def test_a_prediction_takes_what_a_calculation_knows(mos2):
    stage = small_stage(mos2)
    known = without(mos2[0], num_electrons=25.5, hamiltonian=None)
    prediction = kh.predict(stage, known, seed=3)
    assert prediction.overlap is known.overlap
    assert prediction.num_electrons == 25.5
    assert isinstance(prediction, kh.ElectronicStructure)
    origin = prediction.provenance
    assert (origin["model"], origin["seed"]) == (stage.name, 3)
    assert origin["training"]["structures"] == [mos2.names[0]]
    basis = kh.OrbitalBasis({"Mo": "1s", "S": "1s"})
    with pytest.raises(ValueError, match="gives Mo the shells"):
        kh.predict(stage, kh.Calculation(known.atoms, basis))


def test_files(calculation, tmp_path):
    crystal = kh.ElectronicStructure(without(calculation))
    folder = crystal.write(tmp_path / "new" / "deeph")
    archive = crystal.write(tmp_path / "new" / "crystal.npz")
    container = crystal.write(tmp_path / "new" / "x", "container")
    assert len(list((tmp_path / "new").iterdir())) == 3
    for again in (
        read_legacy(folder),
        read_calculation(archive),
        kh.HamiltonianStore(container)[0],
    ):
        assert again.fermi_level == pytest.approx(crystal.fermi_level)
        np.testing.assert_allclose(
            again.hamiltonian.find((0, 0, 0, 0, 1)),
            crystal.hamiltonian.find((0, 0, 0, 0, 1)),
        )
    with pytest.raises(ValueError, match="folder with files"):
        crystal.write(folder)
    with pytest.raises(ValueError, match="Formats to write"):
        crystal.write(tmp_path / "other", "nonsense")
    assert not (tmp_path / "other").exists()


def test_a_limit_of_memory_may_be_set(mos2):
    crystal = kh.ElectronicStructure(mos2[0], max_memory="4GB")
    assert crystal.matrices.max_memory == "4GB"
    crystal.max_memory = 5e9
    assert crystal.matrices.max_memory == 5e9
    with pytest.raises(ValueError, match="4GB.*Received: 'much'"):
        crystal.max_memory = "much"
    with pytest.raises(ValueError, match="4GB.*Received: 'much'"):
        kh.ElectronicStructure(mos2[0], max_memory="much")
    assert crystal.max_memory == 5e9
