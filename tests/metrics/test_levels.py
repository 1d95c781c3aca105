"""Similarity of wave functions, against rotations that must not matter."""

import numpy as np
import pytest
import scipy.linalg

from keras_hamiltonian.metrics.levels import level_similarities
from keras_hamiltonian.metrics.levels import near_degenerate_groups


@pytest.fixture
def solved():
    """Levels with a degenerate pair and a triple, S far from one."""
    random = np.random.default_rng(3)
    noise = random.normal(size=(8, 8)) + 1j * random.normal(size=(8, 8))
    overlap = np.eye(8) + 0.05 * (noise + noise.conj().T)
    energies = np.array([-3.0, -1, -1, 0.5, 1, 1, 1, 2.0])
    root = scipy.linalg.sqrtm(overlap)
    vectors = np.linalg.qr(noise)[0]
    hamiltonian = root @ (vectors * energies) @ vectors.conj().T @ root
    found, states = scipy.linalg.eigh(hamiltonian, overlap)
    np.testing.assert_allclose(found, energies, atol=1e-10)
    return energies, states, overlap


def rotated(states, levels, seed=0):
    """The states with a random unitary among some of them."""
    random = np.random.default_rng(seed)
    shape = (len(levels),) * 2
    noise = random.normal(size=shape) + 1j * random.normal(size=shape)
    states = states.copy()
    states[:, levels] = states[:, levels] @ np.linalg.qr(noise)[0]
    return states


def test_groups():
    energies = [-1.0, -0.999, -0.5, 0.0, 0.001, 0.002]
    groups = near_degenerate_groups(energies, 0.0015)
    assert groups.tolist() == [0, 0, 1, 2, 2, 2]
    assert near_degenerate_groups([0.3]).tolist() == [0]


def test_phases_and_rotations_of_degenerate_states_do_not_matter(solved):
    energies, states, overlap = solved
    other = rotated(states, [1, 2])
    other = rotated(other, [4, 5, 6])
    other = other * np.exp(1j * np.arange(8))
    found = level_similarities(other, states, overlap, energies)
    np.testing.assert_allclose(found, 1, atol=1e-10)
    # The control: state by state they differ.
    alone = level_similarities(other, states, overlap, energies, tolerance=-1)
    assert (alone[[1, 2, 4, 5, 6]] < 0.99).all()
    np.testing.assert_allclose(alone[[0, 3, 7]], 1, atol=1e-10)


def test_a_mixed_pair_has_the_cosine_of_its_angle(solved):
    energies, states, overlap = solved
    angle = 0.3
    other = states.copy()
    other[:, 0] = np.cos(angle) * states[:, 0] + np.sin(angle) * states[:, 3]
    other[:, 3] = np.cos(angle) * states[:, 3] - np.sin(angle) * states[:, 0]
    found = level_similarities(other, states, overlap, energies)
    np.testing.assert_allclose(found[[0, 3]], np.cos(angle), atol=1e-10)
    np.testing.assert_allclose(found[[1, 2, 4, 5, 6, 7]], 1, atol=1e-10)


def test_a_plane_tilted_out_of_its_space_has_the_mean_cosine(solved):
    energies, states, overlap = solved
    angle = 0.4
    other = states.copy()
    other[:, 2] = np.cos(angle) * states[:, 2] + np.sin(angle) * states[:, 7]
    other = rotated(other, [1, 2])
    found = level_similarities(other, states, overlap, energies)
    cosines = np.cos(
        scipy.linalg.subspace_angles(
            scipy.linalg.sqrtm(overlap) @ other[:, [1, 2]],
            scipy.linalg.sqrtm(overlap) @ states[:, [1, 2]],
        )
    )
    expected = (1 + np.cos(angle)) / 2
    assert cosines.mean() == pytest.approx(expected)
    np.testing.assert_allclose(found[[1, 2]], expected)


def test_levels_that_trade_places_are_unlike(solved):
    energies, states, overlap = solved
    other = states[:, [3, 1, 2, 0, 4, 5, 6, 7]]
    found = level_similarities(other, states, overlap, energies)
    np.testing.assert_allclose(found[[0, 3]], 0, atol=1e-10)


def test_shapes(solved):
    energies, states, overlap = solved
    with pytest.raises(ValueError, match="same orbitals"):
        level_similarities(states[:, :4], states, overlap, energies)
