"""Losses of matrix blocks."""

import keras

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.strategy import total


class BlockLoss(keras.losses.Loss):
    """A loss whose sum is that of all processes in a step of several."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return total(super().__call__(y_true, y_pred, sample_weight))


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BlockMeanAbsoluteError(BlockLoss):
    """Mean absolute error of matrix elements, in meV.

    The weights of `HamiltonianDataset` sum to one over a batch, onsite and
    hopping blocks together. So weighted errors are summed, not averaged. Keras
    adds the losses of both outputs, which gives the mean over structures of
    the mean over matrix elements: `mae_all` of `MatrixErrors`. With spin, the
    real and the imaginary part count as two elements, while `MatrixErrors`
    uses the modulus.

    In meV, gradients are far above Adam's epsilon.

    Args:
        reduction: str. `"sum"` for the weights of `HamiltonianDataset`; other
            reductions of `keras.losses.Loss` fit other weights.
        name: str.
        dtype: str. Type of the errors. Defaults to Keras' float type.

    Call arguments:
        y_true, y_pred: tensors of equal shape, in eV.
        sample_weight: tensor of the same shape.

    Output: scalar, in meV.

    Example:

    >>> import numpy as np
    >>> loss = BlockMeanAbsoluteError()
    >>> true, predicted = np.array([[0.0, 0.0]]), np.array([[0.5, 9.0]])
    >>> float(loss(true, predicted, sample_weight=np.array([[1.0, 0.0]])))
    500.0
    """

    def __init__(
        self, reduction="sum", name="block_mean_absolute_error", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return MEV_PER_EV * keras.ops.abs(y_true - y_pred)


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BlockMeanSquaredError(BlockLoss):
    """Mean squared error of matrix elements, in meV², the loss of DeepH-E3.

    Errors are summed with the weights of `HamiltonianDataset`, see
    `BlockMeanAbsoluteError`.

    Args:
        reduction: str. Of `keras.losses.Loss`.
        name: str.
        dtype: str. Type of the errors. Defaults to Keras' float type.

    Call arguments:
        y_true, y_pred: tensors of equal shape, in eV.
        sample_weight: tensor of the same shape.

    Output: scalar, in meV².

    Example:

    >>> import numpy as np
    >>> loss = BlockMeanSquaredError()
    >>> true, predicted = np.array([[0.0]]), np.array([[0.002]])
    >>> float(loss(true, predicted, sample_weight=np.array([[0.5]])))
    2.0
    """

    def __init__(
        self, reduction="sum", name="block_mean_squared_error", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return keras.ops.square(MEV_PER_EV * (y_true - y_pred))
