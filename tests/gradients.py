"""Values and gradients on the running backend, and comparison of both."""

import keras
import numpy as np

BACKEND = keras.config.backend()
# Largest error over the largest number.
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


def value_and_gradients(function, arrays, cotangent=None):
    """Value of a function, and gradients of its product with a cotangent.

    Args:
        function: callable of tensors, returning a tensor.
        arrays: list of float arrays to differentiate by.
        cotangent: array of the shape of the value. Default: random.

    Returns:
        The value, the cotangent, and a list of gradients: arrays.
    """
    run = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}[BACKEND]
    used = []

    def weigh(value):
        if cotangent is None:
            random = np.random.default_rng(0)
            used.append(random.normal(size=tuple(value.shape)))
        else:
            used.append(cotangent)
        return keras.ops.sum(value * keras.ops.cast(used[-1], value.dtype))

    value, gradients = run(function, arrays, weigh)
    return np.asarray(value), used[-1], [np.asarray(g) for g in gradients]


def assert_agrees(function, oracle, arrays, dtype="float64"):
    """Compares values and gradients with those of a function of torch.

    Args:
        function: callable of tensors of the running backend.
        oracle: callable of float64 torch tensors.
        arrays: list of float arrays to differentiate by.
        dtype: str. Float type of the function; sets the tolerance.
    """
    arrays = [np.asarray(a, dtype=dtype) for a in arrays]
    found, cotangent, gradients = value_and_gradients(function, arrays)
    assert found.dtype == dtype
    import torch

    xs = [torch.tensor(a, dtype=torch.float64) for a in arrays]
    xs = [x.requires_grad_() for x in xs]
    value = oracle(*xs)
    expected = torch.autograd.grad((value * torch.tensor(cotangent)).sum(), xs)
    assert_near(found, value.detach().numpy(), dtype, "value")
    for k, (a, b) in enumerate(zip(gradients, expected)):
        assert a.dtype == dtype
        assert_near(a, b.numpy(), dtype, f"gradient {k}")


def assert_near(found, expected, dtype="float64", name=""):
    """Compares arrays relative to the largest number."""
    assert found.shape == expected.shape, name
    size = max(np.abs(expected).max(initial=0.0), 1e-30)
    error = np.abs(found - expected).max(initial=0.0) / size
    assert error <= TOLERANCES[dtype], f"{name}: {error:.1e}"


def tensors(arrays):
    """Arrays nested in lists and dicts as tensors."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


def run(function, *arrays):
    """What a function of tensors makes of arrays, as arrays.

    JAX would compile every operation by itself: the whole function there.
    """
    if BACKEND == "jax":
        import jax

        function = jax.jit(function)
    result = function(*tensors(list(arrays)))
    return keras.tree.map_structure(keras.ops.convert_to_numpy, result)


def assert_shapes(function, *arrays):
    """The shape and type of a graph's node are those of what is computed."""
    symbols = [
        keras.KerasTensor(a.shape, keras.backend.standardize_dtype(a.dtype))
        for a in arrays
    ]
    symbolic = keras.tree.flatten(function(*symbols))
    if BACKEND == "jax":
        import jax

        eager = keras.tree.flatten(jax.eval_shape(function, *arrays))
    else:
        eager = keras.tree.flatten(function(*tensors(list(arrays))))
    assert len(symbolic) == len(eager)
    for s, e in zip(symbolic, eager):
        assert isinstance(s, keras.KerasTensor)
        assert tuple(s.shape) == tuple(e.shape)
        assert s.dtype == keras.backend.standardize_dtype(e.dtype)


def _torch(function, arrays, weigh):
    import torch

    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = function(*xs)
    return value.detach(), torch.autograd.grad(weigh(value), xs)


def _jax(function, arrays, weigh):
    import jax

    def loss(*xs):
        value = function(*xs)
        return weigh(value), value

    numbers = tuple(range(len(arrays)))
    run = jax.jit(jax.grad(loss, argnums=numbers, has_aux=True))
    gradients, value = run(*arrays)
    return value, gradients


def _tensorflow(function, arrays, weigh):
    import tensorflow as tf

    @tf.function
    def run(xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            value = function(*xs)
            total = weigh(value)
        return value, [
            tf.convert_to_tensor(g) for g in tape.gradient(total, xs)
        ]

    return run([tf.constant(a) for a in arrays])
