import json

import numpy as np
import pytest

from keras_hamiltonian.physics.two_centre import TwoCentreIntegrals
from keras_hamiltonian.physics.two_centre import radial_functions
from keras_hamiltonian.physics.two_centre import slater_koster

SHELLS = ((0, 1), (0, 1))


def table(vectors):
    """An s and p block from Slater and Koster's own table, p as (y, z, x)."""
    distances = np.linalg.norm(vectors, axis=1)
    sigma = np.exp(-distances)
    cosines = (vectors / distances[:, None])[:, [1, 2, 0]]
    blocks = np.zeros((len(vectors), 4, 4))
    blocks[:, 0, 0] = sigma
    blocks[:, 0, 1:] = cosines * (2 * sigma)[:, None]
    blocks[:, 1:, 0] = -cosines * (2 * sigma)[:, None]
    along = np.einsum("pa,pb->pab", cosines, cosines)
    blocks[:, 1:, 1:] = along * (3 * sigma)[:, None, None]
    blocks[:, 1:, 1:] += (np.eye(3) - along) * (-0.5 * sigma)[:, None, None]
    return blocks


@pytest.fixture
def vectors():
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions * generator.uniform(1.5, 5.0, size=(400, 1))


def test_integrals_of_slater_and_koster(vectors):
    integrals, error = slater_koster(SHELLS, vectors, table(vectors))
    assert error < 1e-14
    sigma = np.exp(-np.linalg.norm(vectors, axis=1))
    # Channels: s-s, s-p, p-s, p-p sigma, p-p pi.
    expected = np.outer(sigma, [1, 2, -2, 3, -0.5])
    np.testing.assert_allclose(integrals, expected, atol=1e-14)


def test_blocks_come_back(vectors):
    blocks = table(vectors)
    envelope = (1 - np.linalg.norm(vectors, axis=1) / 6.0) ** 6
    blocks *= envelope[:, None, None]
    integrals, _ = slater_koster(SHELLS, vectors, blocks)
    distances = np.linalg.norm(vectors, axis=1)
    fitted = TwoCentreIntegrals.fit(SHELLS, 6.0, distances, integrals, True)
    np.testing.assert_allclose(fitted.blocks(vectors), blocks, atol=1e-7)
    # The same edge read from its other end.
    reverse = fitted.blocks(-vectors).transpose(0, 2, 1)
    np.testing.assert_allclose(reverse, fitted.blocks(vectors), atol=1e-12)
    config = json.loads(json.dumps(fitted.to_dict()))
    # Model files of version 0.1.0 have these keys.
    assert set(config) == {"shells", "cutoff", "covered", "coefficients"}
    again = TwoCentreIntegrals.from_dict(config)
    assert np.array_equal(again.blocks(vectors), fitted.blocks(vectors))


def test_a_block_of_another_form_is_noticed(vectors):
    blocks = table(vectors)
    blocks[:, 0, 1] += 0.01
    assert slater_koster(SHELLS, vectors, blocks)[1] > 1e-3


def test_radial_functions_end_smoothly_at_the_reach():
    values = radial_functions(np.array([5.99, 6.0, 7.0]), 6.0)
    assert np.abs(values[0]).max() < 1e-10
    assert np.abs(values[1:]).max() == 0.0


def test_ranges_with_data():
    distances = np.concatenate([np.linspace(1, 2, 50), np.linspace(3, 4, 50)])
    fitted = TwoCentreIntegrals.fit(
        ((0,), (0,)), 5.0, distances, np.exp(-distances)[:, None], True
    )
    np.testing.assert_allclose(fitted.covered, [[1, 2], [3, 4], [5, 5]])
    np.testing.assert_allclose(
        fitted.distance_to_data(np.array([0.9, 1.5, 2.6, 4.5])),
        [0.1, 0, 0.4, 0.5],
    )
    # Without data the function stays between its neighbours.
    between = fitted.blocks(np.array([[0, 0, 2.5]])).item()
    assert np.exp(-3.2) < between < np.exp(-1.8)
