"""Errors of levels against SciPy and against shifts that are known."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg

import keras_hamiltonian as kh
from keras_hamiltonian.evaluation.spectrum import SpectrumErrors
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.matrix_elements import overlap_of_elements
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

GRID = (2, 1, 1)


@pytest.fixture(params=["reference_mos2", "reference_bismuthene"])
def calculation(request, data_folder):
    return kh.HamiltonianStore(data_folder / f"{request.param}.h5")[0]


def changed(matrix, entries):
    return BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)


def noisy(calculation, size=0.01):
    matrix = calculation.hamiltonian
    noise = np.random.default_rng(5).normal(size=matrix.entries.shape)
    return changed(matrix, matrix.entries + size * noise).symmetrized()


def errors_of(predicted, calculation, **options):
    errors = SpectrumErrors(grid=GRID, **options)
    errors.update({"model": predicted}, calculation)
    return errors.result()


def test_the_same_matrix_has_no_error(calculation):
    result = errors_of(calculation.hamiltonian, calculation)
    assert result["occupied_mae"] == result["window_mae"] == 0
    assert result["lowest_similarity"] == pytest.approx(1, abs=1e-9)


def test_a_shift_moves_all_levels_and_no_wave_function(calculation):
    matrix = calculation.hamiltonian
    overlap = overlap_of_elements(matrix, calculation.overlap)
    shifted = changed(matrix, matrix.entries - 0.3 * overlap)
    result = errors_of(shifted, calculation)
    assert result["occupied_mae"] == pytest.approx(0.3, abs=1e-6)
    assert result["window_mae"] == pytest.approx(0.3, abs=1e-6)
    assert result["gauge_free_window_mae"] == pytest.approx(0, abs=1e-6)
    entry = result["structures"][0]
    assert entry["occupied_shift"] == pytest.approx(-0.3, abs=1e-6)
    assert result["lowest_similarity"] == pytest.approx(1, abs=1e-6)
    if calculation.is_spinful:  # Kramers pairs at Γ and M
        assert result["shared"] > 0.9


def test_energies_are_those_of_scipy(calculation):
    predicted = noisy(calculation)
    result = errors_of(predicted, calculation, window=2.0)
    sums = {"occupied": [], "window": [], "signed": []}
    for k_point in ([0, 0, 0], [0.5, 0, 0]):
        energies = []
        for matrix in (calculation.hamiltonian, predicted):
            matrices = BlochMatrices(
                matrix, calculation.overlap, calculation.num_orbitals
            )
            dense = matrices.dense_at(k_point)
            energies.append(scipy.linalg.eigh(*dense, eigvals_only=True))
        error = np.abs(energies[1] - energies[0])
        from_level = energies[0] - calculation.fermi_level
        sums["occupied"].extend(error[from_level <= 0])
        sums["window"].extend(error[np.abs(from_level) <= 2])
        signed = (energies[1] - energies[0])[np.abs(from_level) <= 2]
        sums["signed"].extend(signed)
    signed = np.array(sums.pop("signed"))
    best = min(np.abs(signed - shift).mean() for shift in signed)
    assert result["gauge_free_window_mae"] == pytest.approx(best)
    for name, values in sums.items():
        assert result[f"{name}_mae"] == pytest.approx(np.mean(values))
        assert result[f"{name}_mae"] > 1e-3
    bins = result["energy_bins"]
    below = [b for b in bins if b["to"] <= 0]
    pooled = sum(b["mae"] * b["levels"] for b in below)
    pooled /= sum(b["levels"] for b in below)
    assert pooled == pytest.approx(result["occupied_mae"])


def test_degenerate_levels_are_compared_as_spaces(data_folder):
    """Kramers pairs: state by state even the same matrix looks wrong."""
    store = kh.HamiltonianStore(data_folder / "reference_bismuthene.h5")
    predicted = noisy(store[0], size=1e-5)
    together = errors_of(predicted, store[0])
    alone = errors_of(predicted, store[0], tolerance=-1.0)
    assert together["similarity"] > 0.999
    assert alone["similarity"] < 0.99


def test_what_cannot_be_solved_is_said(calculation):
    no_level = dataclasses.replace(
        calculation, fermi_level=None, num_electrons=None, name="a"
    )
    no_overlap = dataclasses.replace(calculation, overlap=None, name="b")
    errors = SpectrumErrors(grid=GRID)
    for other in (no_level, no_overlap):
        errors.update({"model": calculation.hamiltonian}, other)
    assert errors.result() is None
    assert "Fermi level" in errors.skipped["a"]
    assert "overlap" in errors.skipped["b"]


def test_electrons_stand_in_for_the_fermi_level(data_folder):
    calculation = kh.HamiltonianStore(data_folder / "reference_mos2.h5")[0]
    counted = dataclasses.replace(
        calculation, fermi_level=None, num_electrons=26
    )
    predicted = noisy(calculation)
    ours = errors_of(predicted, counted)
    theirs = errors_of(predicted, calculation)
    # Any level in the gap has the same occupied states.
    assert ours["occupied_mae"] == pytest.approx(theirs["occupied_mae"])
    assert ours["similarity"] == pytest.approx(theirs["similarity"])
