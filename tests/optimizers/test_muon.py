"""Orthogonal steps of flat kernels, against singular vectors of NumPy."""

import keras
import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.optimizers.polar import polar_factors

RATE = 1e-2


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def polar(x):
    u, _, v = np.linalg.svd(x, full_matrices=False)
    return u @ v


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (8, 8)])
def test_polar_factors(shape):
    random = np.random.default_rng(0)
    # Singular values from 1 to 0.02, of a gradient in meV.
    u, _, v = np.linalg.svd(random.normal(size=shape), full_matrices=False)
    x = 1e3 * (u * np.geomspace(1, 0.02, 8)) @ v
    others = [random.normal(size=(8, 3)), np.zeros((8, 5))]
    tensors = [keras.ops.convert_to_tensor(y) for y in (x, *others)]
    found, _, zeros = map(numpy, polar_factors(tensors))
    assert not zeros.any()
    # The same singular vectors, with values that are nearly one.
    values = np.diag(u.T @ found @ v.T)
    assert 0.65 < values.min() and values.max() < 1.2
    np.testing.assert_allclose((u * values) @ v, found, atol=1e-5)
    # The control: without the iteration they differ fiftyfold.
    assert np.diag(u.T @ x @ v.T).min() < 0.03 * np.linalg.norm(x)


def so2_linear():
    layer = SO2Linear(["6x0+ + 4x1", "2x1"], "5x0+ + 3x1", use_bias=True)
    layer.build()
    return layer, [(slice(0, 30), (6, 5)), (slice(30, 48), (6, 3))]


def linear_by_species():
    layer = EquivariantLinear("6x0e + 4x1o", "5x0e + 3x1o", num_species=2)
    layer.build()
    return layer, [(slice(0, 30), (6, 5)), (slice(30, 42), (4, 3))]


@pytest.mark.parametrize("make", [so2_linear, linear_by_species])
def test_a_step_is_orthogonal_matrix_by_matrix(make):
    layer, blocks = make()
    random = np.random.default_rng(1)
    weights = layer.trainable_variables
    gradients = [random.normal(size=w.shape) for w in weights]
    before = [numpy(w) + 0.0 for w in weights]
    optimizer = kh.optimizers.Muon(RATE)
    optimizer.apply([keras.ops.cast(g, "float32") for g in gradients], weights)
    steps = [a - numpy(w) for a, w in zip(before, weights)]
    assert optimizer.exclude == ["readout"]
    kernel = [w.path for w in weights].index(layer.kernel.path)
    rows = steps[kernel].reshape(-1, steps[kernel].shape[-1])
    slopes = gradients[kernel].reshape(rows.shape)
    for row, slope in zip(rows, slopes):
        for place, shape in blocks:
            expected = polar(slope[place].reshape(shape))
            step = row[place].reshape(shape)
            step = step / (0.2 * RATE * max(shape) ** 0.5)
            values = np.linalg.svd(step, compute_uv=False)
            assert 0.65 < values.min() and values.max() < 1.2
            # U Vᵀ has the largest product with U S Vᵀ.
            cosine = (step * expected).sum() / np.linalg.norm(step)
            assert cosine > 0.97 * np.linalg.norm(expected)
    # Adam's first step is the sign of the gradient.
    bias = 1 - kernel
    np.testing.assert_allclose(
        steps[bias], RATE * np.sign(gradients[bias]), rtol=1e-2
    )


def test_kernels_of_read_outs_get_steps_of_adam():
    layer, _ = so2_linear()
    weights = layer.trainable_variables
    gradients = [keras.ops.ones(w.shape) for w in weights]
    before = numpy(layer.kernel) + 0.0
    optimizer = kh.optimizers.Muon(RATE, exclude=["so2_linear"])
    optimizer.apply(gradients, weights)
    np.testing.assert_allclose(before - numpy(layer.kernel), RATE, rtol=1e-2)


def test_configuration():
    optimizer = kh.optimizers.Muon(
        1e-3, momentum=0.9, exclude=["a"], weight_decay=0.1
    )
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert isinstance(again, kh.optimizers.Muon)
    assert again.get_config() == optimizer.get_config()
