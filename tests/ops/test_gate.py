import keras
import numpy as np

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.ops.gate import gate
from keras_hamiltonian.testing import assert_equivariant

IRREPS = "3x0e + 2x0o + 2x1o + 1x2e"
# Scalars, then one gate for each other channel, then those channels.
IRREPS_IN = "3x0e + 5x0e + 2x0o + 2x1o + 1x2e"


def test_formula():
    x = np.random.default_rng(0).normal(size=(4, Irreps(IRREPS_IN).dim))
    found = keras.ops.convert_to_numpy(
        gate(keras.ops.convert_to_tensor(x), IRREPS)
    )
    sigmoid = 1 / (1 + np.exp(-x[:, :8]))
    _, pseudoscalars, vectors, tensor = np.split(x, [8, 10, 16], axis=1)
    vectors = vectors.reshape(4, 3, 2) * sigmoid[:, None, 5:7]
    expected = [
        x[:, :3] * sigmoid[:, :3],
        pseudoscalars * sigmoid[:, 3:5],
        vectors.reshape(4, 6),
        tensor * sigmoid[:, 7:8],
    ]
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1))


def test_equivariance():
    assert_equivariant(lambda x: gate(x, IRREPS), IRREPS_IN, IRREPS)


def test_scalars_alone():
    x = keras.ops.convert_to_tensor(np.array([[1.0, -2.0]]))
    found = keras.ops.convert_to_numpy(gate(x, "2x0e"))
    np.testing.assert_allclose(found, [[0.7310585786, -0.2384058440]])
