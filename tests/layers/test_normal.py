"""First values of weights."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.layers.normal import Normal


def drawn(initializer, shape, dtype="float64"):
    return keras.ops.convert_to_numpy(initializer(shape, dtype))


def test_mean_and_deviation():
    values = drawn(Normal([0.5, 3.0], seed=1), (20000, 2))
    assert np.abs(values.mean(0)).max() < 0.05
    np.testing.assert_allclose(values.std(0), [0.5, 3.0], rtol=0.02)


def test_a_seed_is_one_model_on_every_backend():
    """The numbers of NumPy's own generator."""
    expected = 2.0 * np.random.default_rng(7).normal(size=(3, 4))
    assert np.array_equal(drawn(Normal(2.0, seed=7), (3, 4)), expected)
    keras.utils.set_random_seed(3)
    first, second = (drawn(Normal(), (5,)) for _ in range(2))
    keras.utils.set_random_seed(3)
    assert np.array_equal(drawn(Normal(), (5,)), first)
    assert np.abs(first - second).max() > 0.1


def test_configuration():
    old = Normal(0.3, seed=4)
    new = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(old)
    )
    assert np.array_equal(drawn(new, (6,)), drawn(old, (6,)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_type(dtype):
    assert drawn(Normal(), (2,), dtype).dtype == dtype
