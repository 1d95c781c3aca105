"""Attention of an atom over its neighbours, and the mean in its place."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.layers import NeighborAttention
from keras_hamiltonian.layers import NeighborMean


def numpy(x):
    return keras.ops.convert_to_numpy(x).astype(np.float64)


@pytest.mark.parametrize(
    "layer, factor",
    [(lambda: NeighborAttention(2), 2), (NeighborMean, 1)],
    ids=["attention", "mean"],
)
def test_padding_and_atoms_alone(layer, factor):
    """Padding does not count; an atom without neighbours receives zero."""
    random = np.random.default_rng(0)
    mask = np.array([[1, 1, 0.0], [0, 0, 0], [1, 0, 0]])
    inputs = {
        "atoms": random.normal(size=(3, 8)),
        "edges": random.normal(size=(3, 3, 8)),
        "envelope": 0.5 * mask,
        "edge_mask": mask,
    }
    neighbors = np.array([[1, 2, 0], [1, 1, 1], [0, 2, 2]], "int32")
    layer = layer()

    def received(given):
        tensors = {
            k: keras.ops.convert_to_tensor(x, dtype="float32")
            for k, x in given.items()
        }
        return numpy(layer(neighbors=neighbors, **tensors))

    plain = received(inputs)
    assert np.isfinite(plain).all()
    np.testing.assert_array_equal(plain[1], 0)
    other = dict(inputs, edges=inputs["edges"] + 100 * (1 - mask)[..., None])
    np.testing.assert_allclose(received(other), plain, atol=1e-6)
    # One neighbour counts whole: the softmax of one number is one.
    nearer = dict(inputs, envelope=mask)
    np.testing.assert_allclose(
        received(nearer)[2], factor * plain[2], rtol=1e-4
    )


def test_heads_divide_the_size():
    layer = NeighborAttention(3)
    with pytest.raises(ValueError, match="8 features and num_heads=3"):
        layer.build((2, 8), (2, 3, 8))
