import keras
import numpy as np
import pytest
from gradients import assert_agrees
from gradients import assert_shapes
from gradients import run
from gradients import value_and_gradients

from keras_hamiltonian.ops import spherical_harmonics

# e3nn calls y what is z here: its (x, y, z) are our (y, z, x).
TO_E3NN = [1, 2, 0]


@pytest.fixture
def vectors():
    special = np.concatenate([np.eye(3), -np.eye(3)]) * 0.7
    random = np.random.default_rng(0).normal(size=(10, 3))
    return np.concatenate([special, random]).reshape(2, 8, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("normalize", [True, False])
def test_against_e3nn(o3, vectors, normalize, dtype):
    def oracle(x):
        degrees = list(range(9))
        return o3.spherical_harmonics(
            degrees, x[..., TO_E3NN], normalize, "component"
        )

    assert_agrees(
        lambda x: spherical_harmonics(x, 8, normalize), oracle, [vectors], dtype
    )


def test_high_degrees_against_e3nn(o3, vectors):
    import torch

    theirs = o3.spherical_harmonics(
        [10, 11], torch.tensor(vectors[..., TO_E3NN]), True, "component"
    )
    found = run(lambda x: spherical_harmonics(x, 11)[..., 100:], vectors)
    np.testing.assert_allclose(found, theirs.numpy(), atol=1e-12)


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_of_length_zero(vectors, normalize):
    vectors = vectors.copy()
    vectors[0, 2] = 0
    value, _, (gradient,) = value_and_gradients(
        lambda x: spherical_harmonics(x, 4, normalize), [vectors]
    )
    np.testing.assert_array_equal(value[0, 2], np.eye(25)[0])
    assert np.isfinite(gradient).all()
    if normalize:
        np.testing.assert_array_equal(gradient[0, 2], 0)


def test_half_precision_is_computed_in_single(vectors):
    def both(x):
        x = keras.ops.cast(x, "bfloat16")
        half = spherical_harmonics(x, 6)
        assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"
        single = spherical_harmonics(keras.ops.cast(x, "float32"), 6)
        return [keras.ops.cast(half, "float32"), single]

    half, single = run(both, vectors)
    np.testing.assert_allclose(half, single, rtol=2**-8)


@pytest.mark.parametrize("lmax", [0, 1, 3])
@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 5, 3)])
def test_shapes(lmax, shape):
    assert_shapes(
        lambda x: spherical_harmonics(x, lmax), np.ones(shape, "float32")
    )


def test_errors():
    with pytest.raises(ValueError, match="`lmax` is at least 0"):
        spherical_harmonics(keras.ops.ones((2, 3)), -1)
    with pytest.raises(ValueError, match=r"Received the shape \(2, 4\)"):
        spherical_harmonics(keras.ops.ones((2, 4)), 1)
