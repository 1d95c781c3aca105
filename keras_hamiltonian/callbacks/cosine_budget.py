"""A learning rate that falls to zero over a budget of time or steps."""

import math
import time

import keras


class CosineBudget(keras.callbacks.Callback):
    """Cosine schedule of the learning rate over a budget of time or steps.

    The budget is CPU seconds of this process (all threads together) or
    optimizer steps. The learning rate of a step is

        peak · min(1, (step + 1) / warmup_steps) · (1 + cos π·spent) / 2

    where `spent` is the fraction of the budget used before the step. Training
    stops after the step that exhausts the budget. Validation counts: the time
    of the last validation is reserved for the next one.

    Args:
        peak: float. Largest learning rate.
        seconds: float. Budget of CPU seconds, instead of `steps`.
        steps: int. Budget of optimizer steps, instead of `seconds`.
        warmup_steps: int. Steps until the peak.
        start: float. Value of `time.process_time()` at which the budget of
            seconds begins. Defaults to the beginning of `fit`.

    Raises:
        ValueError: unless exactly one positive budget is given.

    Example:

    >>> budget = CosineBudget(3e-3, seconds=600)
    >>> model.fit(                                     # doctest: +SKIP
    ...     training, epochs=10**6, callbacks=[budget]
    ... )
    """

    def __init__(
        self, peak, seconds=None, steps=None, warmup_steps=100, start=None
    ):
        super().__init__()
        budgets = [b for b in (seconds, steps) if b is not None]
        if len(budgets) != 1 or not budgets[0] > 0:
            raise ValueError(
                "Give one positive budget, `seconds` or `steps`. Received: "
                f"seconds={seconds}, steps={steps}."
            )
        self.peak = peak
        self.seconds = seconds
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.start = start
        self.step = 0
        self._start = None
        self._validation_start = 0.0
        self._validation_seconds = 0.0

    @property
    def spent(self):
        """Fraction of the budget used, from 0 to 1."""
        if self.steps is not None:
            return min(1.0, self.step / self.steps)
        left = self.seconds - self._used_seconds() - self._validation_seconds
        return min(1.0, max(0.0, 1 - left / self.seconds))

    def get_state(self):
        """The spent budget: `step`, `cpu_seconds`, `validation_seconds`."""
        return {
            "step": self.step,
            "cpu_seconds": self._used_seconds(),
            "validation_seconds": self._validation_seconds,
        }

    def set_state(self, state):
        """Resumes from a state, also in another process."""
        self.step = state["step"]
        self._start = time.process_time() - state["cpu_seconds"]
        self._validation_seconds = state["validation_seconds"]

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self.step = 0
        self._validation_seconds = 0.0
        now = time.process_time()
        self._start = now if self.start is None else self.start

    def on_train_batch_begin(self, batch, logs=None):
        """Sets the learning rate of the step."""
        warmup = min(1.0, (self.step + 1) / max(1, self.warmup_steps))
        rate = self.peak * warmup * (1 + math.cos(math.pi * self.spent)) / 2
        # JAX keeps the optimizer's state outside the model between steps.
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        """Stops training when the budget is spent."""
        self.step += 1
        if self.spent >= 1:
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        """Notes the time."""
        self._validation_start = time.process_time()

    def on_test_end(self, logs=None):
        """Reserves the time of this validation for the next one."""
        self._validation_seconds = time.process_time() - self._validation_start

    def on_epoch_end(self, epoch, logs=None):
        """Stops training if the validation exhausted the budget."""
        if self.spent >= 1:
            self.model.stop_training = True

    def _used_seconds(self):
        now = time.process_time()
        return now - (now if self._start is None else self._start)
