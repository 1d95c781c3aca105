"""Normalisation of one item at a time, in every float type."""

import keras


def rms_normalize(x, epsilon, num_axes):
    """Divides by the root mean square over the last axes.

    Args:
        x: tensor.
        epsilon: float. Added to the mean square.
        num_axes: int. How many trailing axes are averaged over.

    Returns:
        Tensor of the shape of `x`.
    """
    axes = tuple(range(-num_axes, 0))
    mean_square = keras.ops.mean(x * x, axis=axes, keepdims=True)
    return x * keras.ops.rsqrt(mean_square + epsilon)


def layer_normalize(x, epsilon):
    """Zero mean and unit variance over the last axis.

    Args:
        x: tensor.
        epsilon: float. Added to the variance.

    Returns:
        Tensor of the shape of `x`.
    """
    centered = x - keras.ops.mean(x, axis=-1, keepdims=True)
    return rms_normalize(centered, epsilon, num_axes=1)
