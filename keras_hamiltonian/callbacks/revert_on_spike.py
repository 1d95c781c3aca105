"""Return to the best weights when the loss has grown."""

import math

import keras
import numpy as np

from keras_hamiltonian.messages import logger


class RevertOnSpike(keras.callbacks.Callback):
    """Restores the best weights when the loss stays far above its best.

    DeepH-E3's rule: when the validation loss has been above `factor` times its
    best value for `patience` epochs, model and optimizer return to the state
    of the best epoch. The learning rate stays. NaN counts as above.

    Args:
        factor: float. Ratio of the loss to its best value that is a spike.
        patience: int. Number of epochs, also if only every n-th is validated.
        monitor: str. Name of the loss in the logs.
        verbose: int. 1 to print when weights are restored.

    Attributes:
        best: float. The smallest loss.
        num_reverts: int. Number of times that weights were restored.

    Raises:
        ValueError: if `factor` is not above 1.
    """

    def __init__(self, factor=2.0, patience=20, monitor="val_loss", verbose=1):
        super().__init__()
        if not factor > 1:
            raise ValueError(f"`factor` is above 1. Received: factor={factor}.")
        self.factor = factor
        self.patience = patience
        self.monitor = monitor
        self.verbose = verbose
        self._reset()

    def get_state(self):
        """The best loss, its arrays, and where a spike began."""
        return {
            "best": self.best,
            "num_reverts": self.num_reverts,
            "spike": self._spike,
            "best_state": self._best_state,
        }

    def set_state(self, state):
        """Resumes from a state, also in another process."""
        self.best = state["best"]
        self.num_reverts = state["num_reverts"]
        self._spike = state["spike"]
        self._best_state = state["best_state"]

    def on_train_begin(self, logs=None):
        """Forgets an earlier run."""
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        """Compares the loss with the best loss."""
        loss = (logs or {}).get(self.monitor)
        if loss is None:
            return
        if loss < self.best:
            self.best = float(loss)
            # Copies: on torch the arrays share memory with the variables.
            self._best_state = [
                np.array(keras.ops.convert_to_numpy(v))
                for v in self._variables()
            ]
        if not math.isnan(loss) and loss <= self.factor * self.best:
            self._spike = None
            return
        self._spike = epoch if self._spike is None else self._spike
        if epoch - self._spike + 1 >= self.patience and self._best_state:
            self._revert(epoch, loss)

    def _revert(self, epoch, loss):
        for variable, value in zip(self._variables(), self._best_state):
            variable.assign(value)
        self._spike = None
        self.num_reverts += 1
        if self.verbose:
            logger.info(
                f"Epoch {epoch + 1}: {self.monitor} {loss:.3g} stays above "
                f"{self.factor} x {self.best:.3g}; best weights restored"
            )

    def _variables(self):
        optimizer = self.model.optimizer
        kept = {id(optimizer.iterations), id(optimizer.learning_rate)}
        return self.model.weights + [
            v for v in optimizer.variables if id(v) not in kept
        ]

    def _reset(self):
        self.best = math.inf
        self.num_reverts = 0
        self._best_state = None
        self._spike = None
