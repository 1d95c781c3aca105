"""The distance of atoms in the features of a model."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.uncertainty import FeatureDistance

IRREPS = ["3x0e + 2x1o", "2x0e + 1x2e"]


def structures(number, seed=0, size=6):
    rng = np.random.default_rng(seed)
    dims = [Irreps(irreps).dim for irreps in IRREPS]
    return [
        (["C"] * size, [rng.normal(size=(size, dim)) for dim in dims])
        for _ in range(number)
    ]


def test_training_atoms_have_distance_one():
    known = structures(200)
    distance = FeatureDistance.fit(IRREPS, known)
    squares = [distance(*x) ** 2 for x in known]
    assert np.mean(squares) == pytest.approx(1, abs=0.02)
    assert (distance(["Si"], [x[:1] for x in known[0][1]]) == np.inf).all()


def test_rotated_crystals_are_equally_far():
    symbols, features = structures(1, seed=3)[0]
    distance = FeatureDistance.fit(IRREPS, structures(20))
    rotation = random_rotations(1, 5)[0]
    turned = [
        x @ Irreps(irreps).d_matrix(rotation).T
        for irreps, x in zip(IRREPS, features)
    ]
    np.testing.assert_allclose(
        distance(symbols, features), distance(symbols, turned), rtol=1e-10
    )
    # Control: one component alone is no rotation.
    turned[0] = features[0] * [1, 1, 1, 2, 1, 1, 1, 1, 1]
    assert np.abs(distance(symbols, turned) - distance(symbols, features)).max()


def test_what_was_never_told_apart_is_far():
    """Two influences that were always equal, as those of two images."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1))
    known = [(["C"] * 4, [np.hstack([x, x])[k : k + 4]]) for k in range(396)]
    distance = FeatureDistance.fit(["2x0e"], known)
    same, other = np.array([[2.0, 2.0]]), np.array([[0.3, -0.3]])
    assert distance(["C"], [other]) > 100 * distance(["C"], [same])
    # The distance to the nearest known atom says the opposite of it.
    rows = np.hstack([x, x])
    far = np.array([[6.0, 6.0]])
    assert cdist(other, rows).min() < cdist(far, rows).min()


def test_features_that_symmetry_makes_zero():
    """Vectors on a chain; one structure is slightly bent."""
    known = structures(10)
    for number, (_, features) in enumerate(known):
        features[0][:, 3:] *= 1e-4 * (number == 1)
    with np.errstate(over="raise", divide="raise"):
        distance = FeatureDistance.fit(IRREPS, known)
    assert np.isfinite(distance(*structures(1, 4)[0])).all()


def test_few_structures_and_files():
    known = structures(2, size=2)
    distance = FeatureDistance.fit(IRREPS, known)
    again = FeatureDistance.from_dict(distance.to_dict())
    np.testing.assert_array_equal(distance(*known[0]), again(*known[0]))
    alone = FeatureDistance.fit(IRREPS, known[:1])
    assert np.isfinite(alone(*known[1])).all()
    with pytest.raises(ValueError, match="at least one structure"):
        FeatureDistance.fit(IRREPS, [])
