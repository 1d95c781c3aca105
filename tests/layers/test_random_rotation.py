"""Rotations: uniform, one per crystal, and labels that follow."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.layers import RandomRotation
from keras_hamiltonian.models.transformer.rotated_frames import RotatedFrames
from keras_hamiltonian.testing import rotate_blocks_in_numpy

BASIS = {"C": "2s 1p 1d"}
NUM_DRAWS = 4000


def numpy(x):
    return keras.ops.convert_to_numpy(x).astype(np.float64)


def draws(number, seed=0):
    layer = RandomRotation(seed=seed, dtype="float64")
    return numpy(layer(keras.ops.arange(number), training=True))


def test_drawn_matrices_are_rotations():
    found = draws(100)
    identity = np.broadcast_to(np.eye(3), found.shape)
    np.testing.assert_allclose(
        found @ found.transpose(0, 2, 1), identity, atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-12)


def test_draws_are_uniform():
    """Moments of the Haar measure, each within five standard errors."""
    found = draws(NUM_DRAWS)
    # Means of the entries vanish, as do those of products of two entries,
    # but for squares, which have the mean 1/3.
    flat = found.reshape(-1, 9)
    error = 5 * NUM_DRAWS**-0.5
    np.testing.assert_allclose(flat.mean(0), 0, atol=error * 3**-0.5)
    np.testing.assert_allclose(
        flat.T @ flat / NUM_DRAWS, np.eye(9) / 3, atol=error / 3
    )
    # Degree 2: D² has the mean zero. Its trace is χ₂ = 4c² + 2c - 1, with
    # the mean 0 and the mean square 1, c the cosine of the angle.
    cosine = (np.trace(found, axis1=1, axis2=2) - 1) / 2
    character = 4 * cosine**2 + 2 * cosine - 1
    assert abs(character.mean()) < error
    assert abs((character**2).mean() - 1) < error * (character**2).std()


def test_angles_have_the_density_of_haar():
    """Density of the rotation angle: (1 - cos ω) / π."""
    found = draws(NUM_DRAWS)
    cosine = (np.trace(found, axis1=1, axis2=2) - 1) / 2
    angles = np.sort(np.arccos(np.clip(cosine, -1, 1)))
    expected = (angles - np.sin(angles)) / np.pi
    steps = (np.arange(NUM_DRAWS) + 0.5) / NUM_DRAWS
    # Kolmogorov and Smirnov: beyond 1.95 / √n once in a thousand.
    assert np.abs(expected - steps).max() < 1.95 * NUM_DRAWS**-0.5
    # Angles drawn evenly would not pass.
    assert np.abs(angles / np.pi - steps).max() > 0.1


def test_one_rotation_per_crystal_and_draw():
    structure = np.array([0, 0, 1, 1, 1, 2], "int32")
    layer = RandomRotation(seed=1)
    first = numpy(layer(structure, training=True))
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[2], first[4])
    assert np.abs(first[1] - first[2]).max() > 0.01
    assert np.abs(numpy(layer(structure, training=True)) - first).max() > 0.01
    again = RandomRotation(seed=1)
    np.testing.assert_array_equal(numpy(again(structure, training=True)), first)


def test_no_rotation_outside_training():
    structure = np.zeros(4, "int32")
    found = numpy(RandomRotation(seed=0)(structure))
    np.testing.assert_array_equal(found, np.broadcast_to(np.eye(3), (4, 3, 3)))
    wigner = [np.random.rand(4, 2, d, d) for d in (1, 3)]
    frames = RotatedFrames(dtype="float64")(
        [keras.ops.convert_to_tensor(w) for w in wigner], found
    )
    for before, after in zip(wigner, frames["wigner"], strict=True):
        np.testing.assert_array_equal(numpy(after), before)


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_labels_rotate_with_the_crystal(spin):
    """Blocks made of harmonics of the rotated edges are the rotated blocks."""
    random = np.random.default_rng(0)
    structure = np.array([0, 0, 1], "int32")
    inner = (10, 10) if spin == "none" else (2, 2, 2, 10, 10)
    inputs = {
        "structure": structure,
        "edge_vectors": random.normal(size=(3, 4, 3)),
        "neighbors": random.integers(0, 3, (3, 4)),
        "edge_mask": random.integers(0, 2, (3, 4)),
    }
    targets = {
        "onsite": random.normal(size=(3, *inner)),
        "hopping": random.normal(size=(3, 4, *inner)),
    }
    layer = RandomRotation(BASIS, spin, seed=5, dtype="float64")
    weights = {"onsite": 1, "hopping": 2}
    rotated, labels, kept = layer.transform_batch((inputs, targets, weights))
    assert kept is weights
    assert rotated["neighbors"] is inputs["neighbors"]
    assert rotated["edge_mask"] is inputs["edge_mask"]
    again = RandomRotation(BASIS, spin, seed=5, dtype="float64")
    rotations = numpy(again.draw(structure))
    shells = layer.basis.table_shells
    for k in range(3):
        np.testing.assert_allclose(
            numpy(rotated["edge_vectors"])[k],
            inputs["edge_vectors"][k] @ rotations[k].T,
            atol=1e-12,
        )
        for name, blocks in targets.items():
            expected = rotate_blocks_in_numpy(
                blocks[k], shells, rotations[k], spin
            )
            np.testing.assert_allclose(
                numpy(labels[name])[k], expected, atol=1e-12
            )


def test_opposite_edges_stay_opposite():
    vectors = np.random.default_rng(0).normal(size=(1, 50, 3)).astype("float32")
    layer = RandomRotation(seed=0)
    rotations = layer.draw(np.zeros(1, "int32"))
    there = layer.transform_vectors(keras.ops.array(vectors), rotations)
    back = layer.transform_vectors(keras.ops.array(-vectors), rotations)
    np.testing.assert_array_equal(numpy(there), -numpy(back))


def test_blocks_need_a_basis():
    with pytest.raises(ValueError, match="basis=None"):
        RandomRotation().transform_blocks(np.zeros((1, 4, 4)), np.eye(3)[None])
