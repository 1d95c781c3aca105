"""Normalisation of one item at a time, in every float type."""

from keras_hamiltonian.ops.backend import native


def rms_normalize(x, epsilon, num_axes):
    """Divides by the root mean square over the last axes.

    Args:
        x: tensor.
        epsilon: float. Added to the mean square.
        num_axes: int. How many trailing axes are averaged over.

    Returns:
        Tensor of the shape of `x`.
    """
    return native("rms_normalize")(x, epsilon, num_axes)


def layer_normalize(x, epsilon):
    """Zero mean and unit variance over the last axis.

    Args:
        x: tensor.
        epsilon: float. Added to the variance.

    Returns:
        Tensor of the shape of `x`.
    """
    return native("layer_normalize")(x, epsilon)
