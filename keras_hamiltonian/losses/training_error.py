"""The error that evaluation reports, of the batches of a training."""

import keras

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.strategy import total


class TrainingError:
    """Mean absolute error of matrix elements in meV, for `Stage.compile`.

    `mae_all` of `MatrixErrors`: the mean over structures of the mean over
    matrix elements; with spin of their moduli, which the loss takes apart into
    real and imaginary part. Predictions of `kh.predict` differ from those of a
    training only where a model takes H⁰ (μS is added).

    Attributes:
        metric: `keras.metrics.Mean`, called `mae` in the logs.
    """

    def __init__(self):
        self.metric = keras.metrics.Mean("mae")

    def update(self, inputs, targets, outputs, weights):
        """Adds a batch.

        Args:
            inputs, targets, weights: dicts of a batch of `HamiltonianDataset`.
            outputs: dict of the model's.
        """
        ops, error = keras.ops, 0.0
        for name in ("onsite", "hopping"):
            found = ops.stop_gradient(outputs[name])
            weight = ops.cast(weights[name], found.dtype)
            difference = found - ops.cast(targets[name], found.dtype)
            if len(found.shape) - (name == "hopping") > 3:
                # Real and imaginary part have half of the weight each.
                squares = ops.sum(ops.square(difference), axis=-5)
                difference = 2 * ops.sqrt(squares)
                weight = weight[..., 0, :, :, :, :]
            error += ops.sum(weight * ops.abs(difference))
        # Neither padding nor a structure without weight.
        onsite = weights["onsite"]
        is_atom = ops.max(onsite, axis=tuple(range(1, len(onsite.shape)))) > 0
        number = ops.max(ops.where(is_atom, inputs["structure"] + 1, 0))
        self.metric.update_state(total(MEV_PER_EV * error), total(number))
