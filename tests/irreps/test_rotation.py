import numpy as np
import pytest

from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.irreps import random_rotations


@pytest.fixture
def vectors():
    special = np.concatenate([np.eye(3), -np.eye(3), np.ones((1, 3))])
    random = np.random.default_rng(0).normal(size=(200, 3))
    # On both sides of the place where the helper axis changes.
    edge = [[0.9, np.sqrt(1 - 0.81) + d, 0] for d in (-1e-9, 0, 1e-9)]
    return np.concatenate([special, random, edge])


def test_frames_are_rotations_that_lay_the_edge_along_z(vectors):
    frames = edge_frames(vectors)
    eye = np.broadcast_to(np.eye(3), frames.shape)
    np.testing.assert_allclose(frames @ frames.swapaxes(1, 2), eye, atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-13)
    along = np.einsum("nab,nb->na", frames, vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(along[:, :2], 0, atol=1e-14)
    np.testing.assert_allclose(along[:, 2], lengths, rtol=1e-14)


def test_frame_of_the_reverse_is_a_half_turn_about_x_bit_for_bit(vectors):
    rotated = edge_frames(vectors) * np.array([1.0, -1.0, -1.0])[:, None]
    np.testing.assert_array_equal(edge_frames(-vectors), rotated)


def test_length_does_not_matter(vectors):
    np.testing.assert_allclose(
        edge_frames(vectors * 1e3), edge_frames(vectors), atol=1e-13
    )


def test_a_vector_of_length_zero():
    with pytest.raises(ValueError, match="length zero"):
        edge_frames(np.zeros((1, 3)))


def test_random_rotations_are_rotations():
    rotations = random_rotations(100, seed=0)
    products = rotations @ rotations.swapaxes(1, 2)
    eye = np.broadcast_to(np.eye(3), products.shape)
    np.testing.assert_allclose(products, eye, atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-13)
    np.testing.assert_array_equal(rotations, random_rotations(100, seed=0))


def test_random_rotations_are_uniform():
    # Moments of the Haar measure: <R> = 0, <R_ab²> = 1/3, <tr R> = 0,
    # <(tr R)²> = 1.
    rotations = random_rotations(40000, seed=1)
    np.testing.assert_allclose(rotations.mean(0), 0, atol=0.015)
    np.testing.assert_allclose((rotations**2).mean(0), 1 / 3, atol=0.01)
    traces = np.trace(rotations, axis1=1, axis2=2)
    np.testing.assert_allclose((traces**2).mean(), 1, atol=0.03)
