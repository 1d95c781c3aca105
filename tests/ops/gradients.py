"""Values and gradients on the running backend, as NumPy arrays."""

import keras
import numpy as np

BACKEND = keras.config.backend()


def value_and_gradients(function, arrays, cotangent=None, seed=0):
    """Value of a function, and gradients of its product with a cotangent.

    Args:
        function: callable of tensors, returning a tensor.
        arrays: list of float arrays to differentiate by.
        cotangent: array of the shape of the value. Default: random.
        seed: int. Of the random cotangent.

    Returns:
        The value, the cotangent, and a list of gradients.
    """
    run = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}[BACKEND]

    def weigh(value):
        nonlocal cotangent
        if cotangent is None:
            random = np.random.default_rng(seed)
            cotangent = random.normal(size=tuple(value.shape))
        return keras.ops.sum(value * keras.ops.cast(cotangent, value.dtype))

    value, gradients = run(function, arrays, weigh)
    return np.asarray(value), cotangent, [np.asarray(g) for g in gradients]


def _torch(function, arrays, weigh):
    import torch

    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = function(*xs)
    gradients = torch.autograd.grad(
        weigh(value), xs, allow_unused=True, materialize_grads=True
    )
    return value.detach(), gradients


def _jax(function, arrays, weigh):
    import jax

    def loss(*xs):
        value = function(*xs)
        return weigh(value), value

    grad = jax.jit(
        jax.grad(loss, argnums=tuple(range(len(arrays))), has_aux=True)
    )
    gradients, value = grad(*map(jax.numpy.asarray, arrays))
    return value, gradients


def _tensorflow(function, arrays, weigh):
    import tensorflow as tf

    xs = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        for x in xs:
            tape.watch(x)
        value = function(*xs)
        total = weigh(value)
    return value, tape.gradient(
        total, xs, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
