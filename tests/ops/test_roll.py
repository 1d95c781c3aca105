"""Functions of the roll angle: coefficients, values, and rolls."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.ops.roll import roll_coefficients
from keras_hamiltonian.ops.roll import roll_samples
from keras_hamiltonian.testing.symmetry import roll_edges

MMAX = 3


@pytest.fixture
def edges():
    random = np.random.default_rng(0)
    kinds = {"0+": 1, **{str(m): 2 for m in range(1, MMAX + 1)}}
    return {
        kind: random.normal(size=(2, 4, dim, 5)) for kind, dim in kinds.items()
    }


def tensors(edges):
    return {k: keras.ops.convert_to_tensor(x) for k, x in edges.items()}


def samples_of(edges, num_angles):
    samples = roll_samples(tensors(edges), MMAX, num_angles)
    return keras.ops.convert_to_numpy(samples)


def test_values_are_those_of_the_fourier_series(edges):
    found = samples_of(edges, 7)
    assert found.shape == (2, 4, 7, 5)
    for k, angle in enumerate(2 * np.pi * np.arange(7) / 7):
        expected = edges["0+"][:, :, 0] + sum(
            2**0.5
            * (
                np.cos(m * angle) * edges[str(m)][:, :, 0]
                + np.sin(m * angle) * edges[str(m)][:, :, 1]
            )
            for m in range(1, MMAX + 1)
        )
        np.testing.assert_allclose(found[:, :, k], expected, atol=1e-12)


@pytest.mark.parametrize("num_angles", [7, 8, 12])
def test_coefficients_come_back(edges, num_angles):
    samples = roll_samples(tensors(edges), MMAX, num_angles)
    found = roll_coefficients(samples, MMAX)
    assert list(found) == list(edges)
    for kind, x in edges.items():
        back = keras.ops.convert_to_numpy(found[kind])
        np.testing.assert_allclose(back, x, atol=1e-12)


def test_a_roll_shifts_the_angles_and_a_mirror_reverses_them(edges):
    num_angles, steps = 8, 3
    angle = np.full((2, 4), 2 * np.pi * steps / num_angles)
    plain = samples_of(edges, num_angles)
    rolled = samples_of(roll_edges(edges, angle, np.ones((2, 4))), num_angles)
    np.testing.assert_allclose(
        rolled, np.roll(plain, steps, axis=2), atol=1e-12
    )
    mirrored = samples_of(
        roll_edges(edges, 0 * angle, -np.ones((2, 4))), num_angles
    )
    reverse = -np.arange(num_angles) % num_angles
    np.testing.assert_allclose(mirrored, plain[:, :, reverse], atol=1e-12)


def test_what_is_done_at_every_angle_commutes_with_a_roll_but_for_aliasing(
    edges,
):
    """The error of any roll falls fast with the number of angles."""
    random = np.random.default_rng(1)
    angles = random.uniform(0, 2 * np.pi, (2, 4))
    signs = random.choice([-1.0, 1.0], (2, 4))
    rotated = roll_edges(edges, angles, signs)

    def apply(edges, num_angles):
        samples = samples_of(edges, num_angles)
        found = roll_coefficients(
            keras.ops.convert_to_tensor(np.tanh(samples)), MMAX
        )
        return {k: keras.ops.convert_to_numpy(x) for k, x in found.items()}

    errors = []
    for num_angles in (8, 32, 128):
        expected = roll_edges(apply(edges, num_angles), angles, signs)
        found = apply(rotated, num_angles)
        errors.append(max(np.abs(found[k] - expected[k]).max() for k in found))
    assert errors[0] > 1e-3  # eight angles are too few for this function
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 1e-3 * errors[0]
