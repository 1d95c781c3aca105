import keras
import numpy as np

from keras_hamiltonian.layers import EdgeEnvelope
from keras_hamiltonian.layers import RadialFeatures


def run(lengths, species, mask=1.0):
    lengths = np.asarray(lengths, float)[:, None]
    layer = EdgeEnvelope([1.0, 1.5], num_neighbors=4.0, dtype="float64")
    found = layer(
        keras.ops.convert_to_tensor(lengths),
        keras.ops.convert_to_tensor(species, dtype="int32"),
        keras.ops.convert_to_tensor(
            np.arange(len(lengths))[::-1, None].copy(), dtype="int32"
        ),
        keras.ops.full(lengths.shape, mask, "float64"),
        [keras.ops.ones((*lengths.shape, d, d), "float64") for d in (1, 3)],
    )
    return keras.tree.map_structure(keras.ops.convert_to_numpy, found)


def test_reach_is_that_of_the_pair():
    # Atoms 0 and 1 are each other's neighbour, 2 and 3 their own kind.
    found = run([1.25, 1.25], [0, 1])
    np.testing.assert_allclose(found["relative"], 0.5)
    np.testing.assert_allclose(run([1.5, 1.5], [1, 1])["relative"], 0.5)
    expected = (1 - 0.25) ** 3 / 2
    for matrix in found["weighted_wigner"]:
        np.testing.assert_allclose(matrix, expected)


def test_weight_vanishes_with_two_derivatives_at_the_reach():
    h = 1e-3
    lengths = 2.5 * (1 + h * np.arange(-3, 2))
    weights = np.concatenate(
        [run([x, x], [0, 1])["weighted_wigner"][0].ravel()[:1] for x in lengths]
    )
    assert (weights[3:] == 0).all()
    np.testing.assert_allclose(
        weights[:3], (2 * h * np.arange(3, 0, -1)) ** 3 / 2, rtol=1e-2
    )


def test_padding_has_no_weight():
    found = run([1.0, 1.0], [0, 1], mask=0.0)
    assert all(not m.any() for m in found["weighted_wigner"])


def test_radial_features_know_the_order_of_the_elements():
    layer = RadialFeatures(8, 3.0, 2, (5,), dtype="float64")
    found = keras.ops.convert_to_numpy(
        layer(
            keras.ops.full((4, 1), 1.2, "float64"),
            keras.ops.convert_to_tensor([0, 1, 0, -1], dtype="int32"),
            keras.ops.convert_to_tensor([[1], [0], [3], [2]], dtype="int32"),
        )
    )
    assert np.abs(found[0] - found[1]).max() > 1e-3
    # Padding counts as the first element: finite numbers, masked later.
    np.testing.assert_allclose(found[2], found[3])
