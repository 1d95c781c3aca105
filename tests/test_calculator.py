"""The ASE calculator: what H tells, and no more."""

import ase.io
import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from scipy.special import expit

import keras_hamiltonian as kh


@pytest.fixture(scope="module")
def mos2(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_mos2.h5")
    return store, kh.models.from_preset("mos2")


@pytest.fixture
def atoms(mos2):
    store, stage = mos2
    atoms = store.atoms(0)
    valence = {"Mo": 14, "S": 6}
    atoms.calc = kh.HamiltonianCalculator(stage, (4, 4, 1), valence)
    return atoms


def test_charges_are_those_of_the_density_matrix(mos2, atoms):
    """Of the states below the Fermi level, on the grid, by plain NumPy."""
    crystal = kh.predict(mos2[1], atoms)
    points = kh.physics.monkhorst_pack((4, 4, 1), gamma_centered=True)
    level, own = crystal.occupations((4, 4, 1)).fermi_level, 0.0
    for k_point in points:
        states = crystal.states(k_point)
        vectors = states.coefficients
        filled = 2 * expit((level - states.energies) / 0.025851999786)
        density = vectors * filled @ vectors.conj().T
        overlap = crystal.matrices.overlap_at(k_point).toarray()
        own = own + np.diag(density @ overlap).real / len(points)
    counts = crystal.calculation.num_orbitals
    sums = np.split(own, np.cumsum(counts)[:-1])
    expected = np.array([14, 6, 6]) - [x.sum() for x in sums]
    charges = atoms.get_charges()
    assert charges == pytest.approx(expected, abs=1e-6)
    assert charges.sum() == pytest.approx(0, abs=1e-6)
    # Both sulphur atoms are mirror images.
    assert charges[1] == pytest.approx(charges[2], abs=1e-3)
    assert abs(charges[0]) > 0.05


def test_numbers_are_those_of_the_prediction(mos2, atoms):
    crystal = kh.predict(mos2[1], atoms)
    calculator = atoms.calc
    level = calculator.get_property("fermi_level", atoms)
    assert level == calculator.get_fermi_level()
    assert level == pytest.approx(crystal.fermi_level)
    gap = calculator.get_property("gap", atoms)
    assert gap == pytest.approx(crystal.gap((4, 4, 1)).gap)
    first = calculator.prediction
    energy = calculator.get_property("band_energy", atoms)
    assert energy == pytest.approx(
        crystal.occupations((4, 4, 1)).band_energy, rel=1e-9
    )
    assert calculator.prediction is first
    atoms.rattle(0.02)
    assert calculator.get_property("band_energy", atoms) != energy
    assert calculator.prediction is not first


def test_errors_leave_no_numbers_of_other_atoms(mos2, atoms):
    calculator = atoms.calc
    calculator.get_property("fermi_level", atoms)
    same = atoms.copy()
    same.positions[1] = same.positions[0]
    for _ in range(2):
        with pytest.raises(ValueError):
            calculator.get_property("fermi_level", same)
    calculator.reset()
    assert calculator.prediction is None
    with pytest.raises(ValueError, match="no atoms yet"):
        kh.HamiltonianCalculator(mos2[1]).get_fermi_level()


def test_energies_and_forces_are_refused_with_a_reason(atoms, tmp_path):
    for ask in (atoms.get_potential_energy, atoms.get_forces):
        with pytest.raises(PropertyNotImplementedError, match="repulsion"):
            ask()
    # What writes all that a calculator has goes on.
    ase.io.write(tmp_path / "a.traj", atoms)
    assert ase.io.read(tmp_path / "a.traj") == atoms


def test_charges_need_the_electrons_of_each_element(mos2):
    store, stage = mos2
    atoms = store.atoms(0)
    atoms.calc = kh.HamiltonianCalculator(stage)
    with pytest.raises(ValueError, match="Mo, S.*valence_electrons"):
        atoms.get_charges()
