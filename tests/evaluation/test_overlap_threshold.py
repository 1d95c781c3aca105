"""Wrong bands of small errors, and what leaving combinations out does."""

import dataclasses
import json
import types

import numpy as np
import pytest

import keras_hamiltonian as kh
from data_tools.deeph import read_legacy
from data_tools.wannier90 import export_wannier90
from keras_hamiltonian.evaluation import overlap_threshold as module
from keras_hamiltonian.evaluation.overlap_threshold import (
    choose_overlap_threshold,
)
from keras_hamiltonian.evaluation.spectrum import SpectrumErrors
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.dos import density_of_states
from keras_hamiltonian.physics.effective_mass import effective_mass
from keras_hamiltonian.physics.fermi import find_fermi_level
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import nearest_states

# In eV; brings levels of the wrong place.
NOISE = 0.02
MODEL = types.SimpleNamespace(
    check_elements=lambda *_: None, overlap=None, provenance=None
)


@pytest.fixture(scope="module")
def calculation(data_folder):
    """Bismuthene; the eigenvalues of S(k) go down to 0.003."""
    return kh.HamiltonianStore(data_folder / "bismuthene.h5")["008"]


def noisy(calculation, size):
    matrix = calculation.hamiltonian
    noise = np.random.default_rng(3).normal(size=matrix.entries.shape)
    entries = matrix.entries + size * noise
    changed = BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)
    return changed.symmetrized()


def choose(calculation, size, monkeypatch):
    """Of a model whose blocks are those of DFT and noise of a size in eV."""
    monkeypatch.setattr(
        module, "predicted_blocks", lambda _, known: noisy(known, size)
    )
    return choose_overlap_threshold(MODEL, [calculation])


def test_noise_that_ruins_bands_and_noise_that_does_not(
    calculation, monkeypatch
):
    threshold, errors = choose(calculation, NOISE, monkeypatch)
    assert threshold in (5e-3, 1e-2, 2e-2)
    assert errors["none"] > 0.2
    assert errors[str(threshold)] < errors["none"] / 4
    # Combinations that are left out are missed where H is exact.
    threshold, errors = choose(calculation, 0.0, monkeypatch)
    assert threshold is None
    assert errors["none"] < 1e-9 < max(errors.values())


def test_all_structures_count(calculation, monkeypatch):
    """A false level in the last of five structures, none in the others."""
    quiet = dataclasses.replace(calculation, name="quiet")
    sizes = {"quiet": 1e-4, calculation.name: NOISE}
    monkeypatch.setattr(
        module,
        "predicted_blocks",
        lambda _, known: noisy(known, sizes[known.name]),
    )
    few, errors = choose_overlap_threshold(MODEL, [quiet] * 2)
    assert few is None
    assert errors["none"] < 0.01
    threshold, errors = choose_overlap_threshold(
        MODEL, [quiet] * 2 + [calculation]
    )
    assert threshold is not None
    assert errors["none"] > 0.1


def test_nothing_to_compare_with(calculation):
    assert choose_overlap_threshold(None, []) == (None, {})


def test_matrices_pass_their_threshold_on(calculation):
    threshold = 0.01
    known = dataclasses.replace(
        calculation, source={"overlap_threshold": threshold}
    )
    matrices = BlochMatrices.from_calculation(known)
    whole = BlochMatrices.from_calculation(calculation)
    k_point = [0.2, 0.1, 0]
    states = lowest_states(matrices, k_point)
    unchanged = lowest_states(whole, k_point).energies
    assert abs(states.energies - unchanged).max() > 1
    asked = BlochMatrices.from_calculation(calculation)
    asked.overlap_threshold = threshold
    asked = lowest_states(asked, k_point)
    np.testing.assert_allclose(states.energies, asked.energies, atol=1e-9)
    grid, electrons = (2, 1, 1), calculation.num_electrons
    level = find_fermi_level(matrices, electrons, grid)
    below = find_fermi_level(whole, electrons, grid)
    assert abs(level - below) < 0.1
    energies = np.linspace(level - 1, level + 1, 41)
    for method in ("gaussian", "tetrahedron"):
        dos = density_of_states(matrices, grid, energies, method=method)
        assert np.isfinite(dos.total).all()
        assert dos.integrate(level) == pytest.approx(electrons, abs=2.0)
    some = nearest_states(matrices, k_point, level, 4, "multifrontal")
    first = states.energies[some.first :][:4]
    np.testing.assert_allclose(some.energies, first, atol=1e-4)


def test_level_errors_with_a_threshold(calculation):
    errors = {}
    for threshold in (None, 0.02):
        found = SpectrumErrors(grid=(1, 1, 1), overlap_threshold=threshold)
        found.update({"model": noisy(calculation, NOISE)}, calculation)
        errors[threshold] = found.result()["window_mae"]
    assert errors[0.02] < errors[None] / 4


def test_a_model_keeps_it(tmp_path, calculation):
    stage = kh.models.EquivariantStage(
        calculation.basis.to_dict(),
        {"Bi": 4.0},
        spin="noncollinear",
        irreps="4x0e + 2x1o",
        num_groups=1,
        projectors="",
    )
    cascade = kh.models.HamiltonianCascade(
        stage, kh.models.EquivariantTransformerStage.for_stage(stage)
    )
    for model in (stage, cascade):
        assert model.overlap_threshold is None
        model.overlap_threshold = 0.01
        file = tmp_path / f"{model.name}.keras"
        model.save(file)
        loaded = kh.load_model(file)
        assert loaded.overlap_threshold == 0.01
        model.overlap_threshold = None
    stage.overlap_threshold = 0.01
    prediction = kh.predict(
        stage, calculation.atoms, overlap=calculation.overlap
    )
    assert prediction.matrices.overlap_threshold == 0.01


def test_files_keep_it(tmp_path, calculation):
    prediction = predicted(calculation)
    folder = prediction.write(tmp_path / "deeph")
    files = {"hamiltonian": "hamiltonians_pred.h5"}
    deeph = read_legacy(folder, files)
    store = kh.HamiltonianStore.write(tmp_path / "a.h5", [deeph])
    grid = (1, 1, 1)
    for known in (deeph, store[0]):
        matrices = BlochMatrices.from_calculation(known)
        assert matrices.overlap_threshold == 0.02
        level = find_fermi_level(matrices, known.num_electrons, grid)
        given = find_fermi_level(prediction.matrices, known.num_electrons, grid)
        assert level == pytest.approx(given, abs=1e-6)
    # The file has the same bands at its points.
    report = export_wannier90(deeph, tmp_path / "a_hr.dat", grid)
    assert report.band_error < 1e-6


def test_bands_do_not_jump(calculation):
    """Where norms cross the threshold; against a sharp edge."""
    matrices = predicted(calculation).matrices
    k_points = np.linspace([0.0, 0, 0], [0.1, 0, 0], 60)
    smooth, sharp, counts = [], [], []
    for k_point in k_points:
        hamiltonian, overlap = matrices.dense_at(k_point)
        norms, vectors = np.linalg.eigh(overlap)
        kept = norms > 0.02
        counts.append(kept.sum())
        kept = vectors[:, kept] / np.sqrt(norms[kept])
        sharp.append(np.linalg.eigvalsh(kept.conj().T @ hamiltonian @ kept))
        smooth.append(lowest_states(matrices, k_point).energies)
    assert min(counts) < max(counts)
    bends = [
        np.abs(np.diff([x[:70] for x in bands], 2, axis=0)).max()
        for bands in (smooth, sharp)
    ]
    assert bends[0] < bends[1] / 4


def test_bands_beside_those_of_dft(calculation):
    wide = (-100.0, 100.0)
    *_, error = kh.evaluation.compare_bands(
        predicted(calculation), calculation, "GM", num_points=3, window=wide
    )
    assert 0 < error["band_mae"] < 100
    found = SpectrumErrors(window=100, grid=(1, 1, 1), overlap_threshold=0.02)
    found.update({"model": noisy(calculation, NOISE)}, calculation)
    json.dumps(found.result(), allow_nan=False)


def test_no_mass_where_combinations_are_left_out(calculation):
    matrices = predicted(calculation).matrices
    with pytest.raises(ValueError, match="norms below 0.02 are left out"):
        effective_mass(matrices, calculation.atoms.cell, (0.1, 0.2, 0), 3)


def predicted(calculation):
    known = dataclasses.replace(
        calculation,
        hamiltonian=noisy(calculation, NOISE),
        fermi_level=None,
        source={"overlap_threshold": 0.02},
    )
    return kh.Prediction(known)
