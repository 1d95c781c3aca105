"""One progress bar for a whole training."""

import sys
import time

import keras

from keras_hamiltonian.messages import is_due
from keras_hamiltonian.messages import logger

SHOWN = {"mae": "MAE (meV)", "val_mae": "of validation"}


class BudgetBar(keras.callbacks.Callback):
    """Shows the spent fraction of a `CosineBudget`, and the errors.

    These are `mae` and `val_mae` of `TrainingError`, which evaluation reports
    too, or without them the losses.

    Use it with `fit(verbose=0)`, because a budget ends the training before the
    last epoch. If the output is no terminal, a line is logged at each tenth
    of the budget, and every four seconds, later every fiftieth of the time.

    Args:
        budget: `CosineBudget` of the same `fit`.
    """

    def __init__(self, budget):
        super().__init__()
        self.budget = budget

    def on_train_begin(self, logs=None):
        """Draws the empty bar."""
        total = self.budget.seconds or self.budget.steps
        self._unit = "step" if self.budget.seconds is None else "CPU s"
        self._target = max(1, int(total))
        self._values = {}
        self._tenth = 0
        self._start = self._said = time.monotonic()
        self._bar = None
        if sys.stdout.isatty():
            self._bar = keras.utils.Progbar(
                self._target,
                unit_name=self._unit,
                stateful_metrics=["epoch", "loss", "val_loss", *SHOWN.values()],
            )

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        self._note(logs, "mae" if "mae" in logs else "loss")
        self._show(self.budget.spent)

    def on_epoch_end(self, epoch, logs=None):
        """Notes the error of validation."""
        self._values["epoch"] = epoch + 1
        self._note(logs, "val_mae" if "val_mae" in logs else "val_loss")

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self._show(1.0, is_last=True)

    def _note(self, logs, name):
        if name in logs:
            self._values[SHOWN.get(name, name)] = float(logs[name])

    def _show(self, spent, is_last=False):
        done = int(self._target * spent)
        values = list(self._values.items())
        if self._bar is not None:
            done = done if is_last else min(self._target - 1, done)
            self._bar.update(done, values, finalize=is_last)
        elif int(10 * spent) > self._tenth or is_due(self._start, self._said):
            self._tenth, self._said = int(10 * spent), time.monotonic()
            text = ", ".join(f"{name} {value:.4g}" for name, value in values)
            logger.info(f"{done}/{self._target} {self._unit}: {text}")
