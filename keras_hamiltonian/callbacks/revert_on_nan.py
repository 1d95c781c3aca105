"""Return to the last checkpoint when loss or weights are no numbers."""

import math

import keras
import numpy as np

from keras_hamiltonian.messages import logger


class RevertOnNaN(keras.callbacks.Callback):
    """Goes back to the last checkpoint when a training explodes, once.

    When the loss of a step is NaN or infinite, or at the end of an epoch a
    variable of the model or the optimizer is, both return to those of the
    checkpoint, and all learning rates to come are multiplied by `factor`. The
    second time the training ends with an error. The checkpoint never has a
    number that is none.

    The order of the data and the budget go on: steps that exploded count.

    Args:
        checkpoint: `TrainingCheckpoint` of the same `fit`, which also keeps
            whether it went back. It comes after this one among the callbacks.
        budget: `CosineBudget` of the same `fit`.
        factor: float. Of the learning rate.

    Attributes:
        has_reverted: bool. Whether it has gone back.

    Raises:
        ValueError: in `fit`, at the second explosion.

    Example:

    >>> checkpoint = TrainingCheckpoint("run/a.npz", [budget])  # doctest: +SKIP
    >>> revert = RevertOnNaN(checkpoint, budget)                # doctest: +SKIP
    >>> model.fit(                                              # doctest: +SKIP
    ...     training, callbacks=[budget, revert, checkpoint]
    ... )
    """

    def __init__(self, checkpoint, budget, factor=0.3):
        super().__init__()
        self.checkpoint = checkpoint
        self.budget = budget
        self.factor = factor
        self.has_reverted = False
        self._is_known = False
        checkpoint.members.append(self)

    def get_state(self):
        """Whether it went back: `has_reverted`."""
        return {"has_reverted": self.has_reverted}

    def set_state(self, state):
        """Resumes from a state, also in another process."""
        if state["has_reverted"]:
            self._slow_down()

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch."""
        self._epoch = epoch
        self._is_known = False

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss."""
        # That of the epoch so far: one NaN stays in it.
        if not self._is_known and not math.isfinite(float(logs["loss"])):
            self._is_known = True
            # JAX keeps the variables outside the model between steps.
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()
            self._revert(f"the loss is {float(logs['loss'])}")

    def on_epoch_end(self, epoch, logs=None):
        """Looks at all variables."""
        variables = [*self.model.variables, *self.model.optimizer.variables]
        for variable in variables:
            value = keras.ops.convert_to_numpy(variable)
            if not np.isfinite(value).all():
                self._revert(f"the weights {variable.path} are not all finite")
                return

    def _revert(self, reason):
        epoch, good = self._epoch + 1, self.checkpoint.epoch
        if self.has_reverted:
            raise ValueError(
                f"The training has exploded twice: in epoch {epoch} {reason}, "
                "with a learning rate of at most "
                f"{self.budget.peak:.3g}. {self.checkpoint.path} keeps the "
                f"weights after epoch {good}, which are good. Train again "
                "(again=True, --again) with a smaller learning rate or "
                "`clipnorm`, or look for wrong data with "
                "`keras-hamiltonian check`."
            )
        self.checkpoint.restore_weights()
        self._slow_down()
        logger.info(
            f"Epoch {epoch}: {reason}. Goes on with the weights after epoch "
            f"{good} and {self.factor:g} of the learning rate; a second time "
            "it stops."
        )

    def _slow_down(self):
        self.has_reverted = True
        self.budget.peak *= self.factor
