import keras
import numpy as np
import pytest

from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.backend import reference


def tensor(array, dtype="float64"):
    return keras.ops.convert_to_tensor(array, dtype=dtype)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(3, 4, 5))


def test_every_function_exists():
    for name in reference.FUNCTIONS:
        assert callable(getattr(backend, name)), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name, expected",
    [
        ("abs", np.abs),
        ("exp", np.exp),
        ("ones_like", np.ones_like),
        ("relu", lambda x: np.maximum(x, 0)),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("zeros_like", np.zeros_like),
    ],
)
def test_functions_of_one_argument(x, name, expected, dtype):
    found = getattr(backend, name)(tensor(x, dtype))
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(numpy(found), expected(x), atol=tolerance)


def test_roots(x):
    square = x * x + 0.1
    found = backend.sqrt(tensor(square))
    np.testing.assert_allclose(numpy(found), np.sqrt(square), rtol=1e-13)
    found = backend.rsqrt(tensor(square))
    np.testing.assert_allclose(numpy(found), square**-0.5, rtol=1e-13)


def test_maximum_of_tensor_and_number():
    species = keras.ops.convert_to_tensor([-1, 0, 2], dtype="int32")
    found = numpy(backend.maximum(species, 0))
    np.testing.assert_array_equal(found, [0, 0, 2])


@pytest.mark.parametrize("module", [backend, reference])
def test_sums_of_segments(x, module):
    if module is reference and keras.config.backend() == "torch":
        pytest.skip("Keras on torch has it in float32 alone")
    segments = keras.ops.convert_to_tensor([2, 0, 2], dtype="int32")
    found = module.segment_sum(tensor(x), segments, 4)
    expected = np.stack([x[1], 0 * x[0], x[0] + x[2], 0 * x[0]])
    np.testing.assert_allclose(numpy(found), expected, atol=1e-14)
    twice = module.add_segments(found, tensor(x), segments)
    np.testing.assert_allclose(numpy(twice), 2 * expected, atol=1e-14)


def test_shapes(x):
    t = tensor(x)
    assert tuple(backend.shape(t)) == (3, 4, 5)
    for found, expected in (
        (backend.reshape(t, (3, -1)), x.reshape(3, -1)),
        (backend.swapaxes(t, 0, 2), x.swapaxes(0, 2)),
        (backend.transpose(t, (2, 0, 1)), x.transpose(2, 0, 1)),
        (backend.concatenate([t, t], axis=1), np.concatenate([x, x], 1)),
        (backend.stack([t, t], axis=2), np.stack([x, x], 2)),
        (backend.sum(t, axis=1, keepdims=True), x.sum(1, keepdims=True)),
        (backend.take(t, np.array([2, 0]), axis=-1), x[..., [2, 0]]),
        (
            backend.broadcast_to(t[:, None, :1], (3, 2, 1, 5)),
            np.broadcast_to(x[:, None, :1], (3, 2, 1, 5)),
        ),
        (backend.einsum("abc,adc->bd", t, t), np.einsum("abc,adc->bd", x, x)),
        (backend.where(t > 0, t, -t), np.abs(x)),
        (backend.zeros((2, 3), dtype="float64"), np.zeros((2, 3))),
    ):
        np.testing.assert_allclose(numpy(found), expected, atol=1e-13)
    pieces = backend.split(t, [1, 3, 1], axis=2)
    assert [tuple(p.shape) for p in pieces] == [(3, 4, 1), (3, 4, 3), (3, 4, 1)]
    np.testing.assert_array_equal(numpy(pieces[1]), x[..., 1:4])


def test_take_with_several_axes_of_indices(x):
    indices = np.array([[0, 2], [1, 1]], "int32")
    found = backend.take(
        tensor(x), keras.ops.convert_to_tensor(indices), axis=0
    )
    np.testing.assert_array_equal(numpy(found), x[indices])


def test_constant_takes_the_float_type_of_its_neighbour(x):
    for dtype in ("float32", "float64"):
        found = backend.constant(np.arange(3), tensor(x, dtype))
        assert keras.backend.standardize_dtype(found.dtype) == dtype


def test_dense_keeps_float64(x):
    kernel = np.random.default_rng(1).normal(size=(5, 7))
    found = numpy(backend.dense(tensor(x), tensor(kernel)))
    np.testing.assert_allclose(found, x @ kernel, rtol=1e-12)


def test_normalisation(x):
    found = numpy(backend.rms_normalize(tensor(x), 1e-3, num_axes=2))
    mean = (x * x).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(found, x / np.sqrt(mean + 1e-3), rtol=1e-12)
    found = numpy(backend.layer_normalize(tensor(x), 1e-3))
    centred = x - x.mean(-1, keepdims=True)
    spread = (centred**2).mean(-1, keepdims=True)
    np.testing.assert_allclose(
        found, centred / np.sqrt(spread + 1e-3), rtol=1e-12, atol=1e-13
    )


def test_exchange_of_rows():
    x = np.arange(8.0).reshape(4, 2)
    partners = keras.ops.convert_to_tensor([1, 0, 2, 3], dtype="int32")
    found = numpy(backend.exchange_rows(tensor(x), partners))
    np.testing.assert_array_equal(found, x[[1, 0, 2, 3]])
    factors = tensor([-1.0, 2.0])
    found = numpy(backend.exchange_rows(tensor(x), partners, factors))
    np.testing.assert_array_equal(found, x[[1, 0, 2, 3]] * [-1, 2])


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="written for torch alone"
)
@pytest.mark.parametrize("name", ["exchange", "factors", "rms_1", "rms_2"])
def test_first_and_second_gradients(name):
    import torch

    partners = torch.tensor([1, 0, 2, 3])
    factors = torch.tensor([-1.0, 2.0, 0.5, 1.0, 3.0, -2.0]).double()
    function = {
        "exchange": lambda x: backend.exchange_rows(x.flatten(1), partners),
        "factors": lambda x: backend.exchange_rows(
            x.flatten(1), partners, factors
        ),
        "rms_1": lambda x: backend.rms_normalize(x, 0.1, num_axes=1),
        "rms_2": lambda x: backend.rms_normalize(x, 0.1, num_axes=2),
    }[name]
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(function, x)
    torch.autograd.gradgradcheck(lambda x: function(x * x), x)
