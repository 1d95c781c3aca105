"""Losses and metrics of Keras, element by element of the blocks.

Keras' own ones average over the last axis, and weights of `HamiltonianDataset`
are those of single elements. `Stage.compile` wraps them.
"""

import keras

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.losses.block_errors import BlockLoss
from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.losses.block_errors import BlockMeanSquaredError


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class ElementLoss(BlockLoss):
    """Any loss of two numbers, summed with the weights of the elements.

    The weights sum to one over a batch, so that the sum is the mean; another
    reduction would divide it by the number of elements once more.

    Args:
        loss: `keras.losses.Loss`, function or name, such as `"huber"`. It sees
            elements in meV.
        name: str. Defaults to that of the loss.
        dtype: str. Type of the errors. Defaults to Keras' float type.

    Raises:
        ValueError: if the loss gives no number for each element.

    Example, the weighted Huber loss, linear beyond 1 meV:

    >>> import numpy as np
    >>> loss = ElementLoss("huber")
    >>> true, predicted = np.zeros((1, 2)), np.array([[0.003, 9.0]])
    >>> float(loss(true, predicted, sample_weight=np.array([[1.0, 0.0]])))
    2.5
    """

    def __init__(self, loss, name=None, dtype=None):
        loss = keras.losses.get(loss)
        is_loss = isinstance(loss, keras.losses.Loss)
        self.loss = loss
        self._function = loss.call if is_loss else loss
        name = name or getattr(loss, "name", None) or loss.__name__
        super().__init__(name=name, reduction="sum", dtype=dtype)

    def call(self, y_true, y_pred):
        shape = y_pred.shape
        found = self._function(
            MEV_PER_EV * keras.ops.expand_dims(y_true, -1),
            MEV_PER_EV * keras.ops.expand_dims(y_pred, -1),
        )
        if tuple(found.shape) == (*shape, 1):
            found = keras.ops.squeeze(found, -1)
        if len(found.shape) != len(shape):
            raise ValueError(
                f"The loss {self.name!r} gives no number for each matrix "
                f"element: {tuple(found.shape)} from elements of shape "
                f"{(*shape, 1)}. Write it with the mean over the last axis "
                "alone, or as one of `joint_losses`."
            )
        return found

    def get_config(self):
        loss = keras.losses.serialize(self.loss)
        return {"loss": loss, "name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        return cls(
            **{**config, "loss": keras.losses.deserialize(config["loss"])}
        )


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class ElementMetric(keras.metrics.Metric):
    """Any metric of numbers, over the weighted elements of the blocks.

    Args:
        metric: `keras.metrics.Metric`, function or name, such as `"mae"`. It
            sees elements in eV, `(num_elements, 1)`, with their weights: those
            of padding are zero.
        name: str. Defaults to that of the metric.
    """

    def __init__(self, metric, name=None):
        if isinstance(metric, str):
            name = name or metric
        metric = keras.metrics.get(metric)
        if not isinstance(metric, keras.metrics.Metric):
            metric = keras.metrics.MeanMetricWrapper(
                metric, name=metric.__name__
            )
        super().__init__(name=name or metric.name)
        self.metric = metric

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            sample_weight = keras.ops.reshape(sample_weight, (-1,))
        return self.metric.update_state(
            keras.ops.reshape(y_true, (-1, 1)),
            keras.ops.reshape(y_pred, (-1, 1)),
            sample_weight,
        )

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        metric = keras.metrics.serialize(self.metric)
        return {"metric": metric, "name": self.name}

    @classmethod
    def from_config(cls, config):
        metric = keras.metrics.deserialize(config["metric"])
        return cls(metric, config["name"])


def of_elements(loss):
    """The losses of `compile`, those of Keras wrapped.

    Args:
        loss: what `keras.Model.compile` takes.

    Returns:
        The same with `ElementLoss`; losses of this package stay as they are.
    """
    if isinstance(loss, dict):
        return {name: of_elements(one) for name, one in loss.items()}
    if isinstance(loss, list | tuple):
        return [of_elements(one) for one in loss]
    own = BlockMeanAbsoluteError | BlockMeanSquaredError | ElementLoss | None
    return loss if isinstance(loss, own) else ElementLoss(loss)


def metrics_of_elements(metrics, outputs):
    """The metrics of `compile` for each output.

    Args:
        metrics: one, a list for all outputs, or a dict by output.
        outputs: sequence of str. Names of the outputs.

    Returns:
        Dict from output to a list of `ElementMetric`.

    Raises:
        ValueError: for an output that does not exist.
    """
    if not isinstance(metrics, dict):
        metrics = dict.fromkeys(outputs, metrics)
    unknown = sorted({*metrics} - {*outputs})
    if unknown:
        raise ValueError(
            f"Metrics are of the outputs {', '.join(outputs)}. Received: "
            f"{', '.join(unknown)}."
        )
    found = {}
    for name, some in metrics.items():
        some = some if isinstance(some, list | tuple) else [some]
        found[name] = [_metric(one) for one in some if one is not None]
    return found


def _metric(metric):
    """A new `ElementMetric`; each output has its own."""
    if metric in ("accuracy", "acc", "crossentropy", "ce"):
        raise ValueError(
            f"The metric {metric!r} is one of classes; matrix elements are "
            'numbers. Take one of numbers, such as "mae".'
        )
    if isinstance(metric, keras.metrics.Metric):
        metric = type(metric).from_config(metric.get_config())
    return (
        metric if isinstance(metric, ElementMetric) else ElementMetric(metric)
    )
