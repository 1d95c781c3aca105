"""One progress bar for a whole training."""

import sys

import keras


class BudgetBar(keras.callbacks.Callback):
    """Shows how much of a `CosineBudget` is spent, and the losses.

    For `fit(verbose=0)`, whose number of epochs says nothing where a budget
    ends the training. Where the output is no terminal a line is printed at
    each tenth of the budget.

    Args:
        budget: `CosineBudget` of the same `fit`.
    """

    def __init__(self, budget):
        super().__init__()
        self.budget = budget
        self._losses = {}
        self._bar = None
        self._shown = 0

    def on_train_begin(self, logs=None):
        """Draws the empty bar."""
        total = self.budget.seconds or self.budget.steps
        unit = "step" if self.budget.seconds is None else "CPU s"
        self._target = max(1, int(total))
        self._losses = {}
        self._shown = 0
        self._bar = keras.utils.Progbar(
            self._target,
            unit_name=unit,
            stateful_metrics=["epoch", "loss", "val_loss"],
        )

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        self._losses["loss"] = float(logs["loss"])
        self._update()

    def on_epoch_end(self, epoch, logs=None):
        """Takes up the loss of the validation."""
        self._losses["epoch"] = epoch + 1
        if "val_loss" in (logs or {}):
            self._losses["val_loss"] = float(logs["val_loss"])

    def on_train_end(self, logs=None):
        """Closes the bar."""
        self._bar.update(
            self._target, list(self._losses.items()), finalize=True
        )

    def _update(self):
        spent = self.budget.spent
        if not sys.stdout.isatty():
            if int(10 * spent) == self._shown:
                return
            self._shown = int(10 * spent)
        done = min(self._target - 1, int(self._target * spent))
        self._bar.update(done, list(self._losses.items()), finalize=False)
