"""The map of environments: symmetry, principal axes, planted errors."""

import dataclasses

import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.environments import EnvironmentMap
from keras_hamiltonian.explain.environments import Environments
from keras_hamiltonian.explain.environments import atom_errors
from keras_hamiltonian.explain.environments import invariants
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.rotation import random_rotations


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")


@pytest.fixture(scope="module")
def stage(store):
    return small_stage(store)


def rattled(store, seed, amount=0.05):
    atoms = store[0].atoms * (2, 1, 1)
    atoms.rattle(amount, seed=seed)
    return atoms


@pytest.fixture(scope="module")
def training(store):
    return [rattled(store, seed) for seed in range(4)]


@pytest.fixture(scope="module")
def environments(stage, training):
    return EnvironmentMap(stage, training)


def rotated(atoms, rotation):
    atoms = atoms.copy()
    atoms.set_cell(np.asarray(atoms.cell) @ rotation.T, scale_atoms=True)
    return atoms


def test_rotated_and_mirrored_crystals_fall_on_the_same_point(
    environments, store
):
    atoms = rattled(store, 9)
    rotation = random_rotations(1, 0)[0]
    order = np.array([2, 0, 3, 1])
    plain, same, mirrored, renamed, other = (
        environments.place([a])
        for a in (
            atoms,
            rotated(atoms, rotation),
            rotated(atoms, -rotation),
            atoms[order],
            rattled(store, 9, 0.06),
        )
    )
    spread = np.ptp(environments.known("C"), axis=0).max()
    for copy in (same, mirrored):
        np.testing.assert_allclose(
            copy.points, plain.points, atol=1e-5 * spread
        )
        np.testing.assert_allclose(copy.novelty, plain.novelty, atol=1e-4)
    np.testing.assert_allclose(
        renamed.points, plain.points[order], atol=1e-5 * spread
    )
    # Shows that the bound can fail: displacements larger by a fifth.
    assert np.abs(other.points - plain.points).max() > 1e-2 * spread


def test_invariants_are_those_of_the_group():
    irreps = Irreps("3x0e + 2x0o + 2x1o + 1x2e")
    features = np.random.default_rng(0).normal(size=(5, irreps.dim))
    plain = invariants(features, irreps)
    assert plain.shape == (5, irreps.num_irreps)
    for sign in (1, -1):
        rotation = sign * random_rotations(1, 0)[0]
        matrix = irreps.d_matrix(rotation)
        np.testing.assert_allclose(
            invariants(features @ matrix.T, irreps), plain, atol=1e-12
        )
    # Scalars keep their signs.
    assert (plain[:, :3] < 0).any() and (plain[:, 3:] >= 0).all()


def test_axes_are_those_of_the_covariance(environments, stage, training):
    """A second way: eigenvalues of the covariance, by NumPy."""
    dataset = kh.HamiltonianDataset(
        [kh.Calculation(atoms, stage.basis) for atoms in training],
        reaches=stage.reaches,
    )
    model = stage.feature_model()
    features = []
    for position in range(len(dataset)):
        inputs = dataset[position][0]
        found = np.asarray(model.predict_on_batch(inputs)["atoms_2"])
        found = found[inputs["species"] >= 0].astype(float)
        features.append(invariants(found, stage.feature_irreps[-1]))
    features = np.concatenate(features)
    values = np.linalg.eigvalsh(np.cov(features.T))[::-1]
    np.testing.assert_allclose(
        environments.explained["C"], (values / values.sum())[:2], rtol=1e-3
    )
    points = environments.known("C")
    assert points.shape == (16, 2)
    np.testing.assert_allclose(
        np.cov(points.T), np.diag(values[:2]), atol=1e-4 * values[0]
    )


def test_what_was_seen_is_not_new_and_strain_is(environments, store, training):
    seen = environments.place(training)
    # One, but for directions that few atoms do not show.
    assert 0.3 < np.sqrt((seen.novelty**2).mean()) < 1.001
    np.testing.assert_allclose(seen.points, environments.known("C"), rtol=1e-5)
    means = []
    for strain in (1.0, 1.05, 1.1, 1.15):
        atoms = rattled(store, 9)
        atoms.set_cell(np.asarray(atoms.cell) * strain, scale_atoms=True)
        means.append(environments.place([atoms]).novelty.mean())
    assert all(b > 1.2 * a for a, b in zip(means, means[1:]))


def test_the_worst_atom_is_named(environments, stage, store):
    calculation = store[0]
    predicted = kh.evaluate(stage, [calculation])["errors"]
    error = atom_errors(stage, calculation)
    # Two atoms with equal numbers of blocks.
    assert error.mean() == pytest.approx(predicted["mae_all"])
    matrix = calculation.hamiltonian
    entries = matrix.entries.copy()
    pair = matrix.index[0, 0, 0, 1, 1]
    block = slice(*matrix.boundaries[pair : pair + 2])
    entries[block] += 100.0
    changed = dataclasses.replace(
        calculation,
        hamiltonian=kh.BlockMatrix(matrix.atom_pairs, matrix.shapes, entries),
        name="planted",
    )
    found = environments.place([calculation, changed])
    assert found.structures == 2 * [calculation.name] + 2 * ["planted"]
    np.testing.assert_array_equal(found.atoms, [0, 1, 0, 1])
    np.testing.assert_allclose(found.errors[:3], [*error, error[0]], rtol=1e-4)
    worst = found.worst()[0]
    assert worst["structure"] == "planted" and worst["atom"] == "C1"
    size = np.prod(matrix.shapes, axis=1)[matrix.atom_pairs[:, 3] == 1].sum()
    expected = 100 * (block.stop - block.start) / size
    assert worst["error"] - error[1] == pytest.approx(expected, rel=0.02)
    assert len(found.worst(2)) == 2
    bare = environments.place([calculation.atoms])
    assert np.isnan(bare.errors).all() and bare.worst() == []
    assert np.isnan(bare.rank_correlation())


def test_rank_correlation():
    novelty = np.array([0.1, 3.0, 0.5, 1.0])
    found = Environments(
        4 * ["x"],
        np.arange(4),
        np.array(4 * ["C"]),
        np.zeros((4, 2)),
        novelty,
        np.exp(novelty),
    )
    assert found.rank_correlation() == pytest.approx(1)
    found.errors = -novelty
    assert found.rank_correlation() == pytest.approx(-1)


def test_what_has_no_map(stage, store, environments):
    refinement = kh.models.StandaloneTransformerStage(
        stage.arguments["basis"], stage.reaches, width=8, num_heads=2
    )
    with pytest.raises(ValueError, match="Standalone.*`FirstStage`"):
        EnvironmentMap(refinement, [store[0]])
    with pytest.raises(ValueError, match="environments of C are the same"):
        EnvironmentMap(stage, [store[0]])
    with pytest.raises(ValueError, match="at least one"):
        EnvironmentMap(stage, [])
    with pytest.raises(ValueError, match="no structure"):
        environments.place([])


def test_an_element_without_a_map(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_mos2.h5")
    stage = small_stage(store)
    atoms = store[0].atoms
    metal = atoms[atoms.numbers == 42] * (3, 1, 1)
    metal.rattle(0.1, seed=0)
    found = EnvironmentMap(stage, [metal])
    assert found.symbols == ["Mo"]
    with pytest.raises(ValueError, match="map is of Mo. Received: S"):
        found.place([atoms])
