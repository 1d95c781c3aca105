"""Record of losses against CPU time, written as JSON."""

import json
import math
import pathlib
import time

import keras

from keras_hamiltonian.files import write_text


class LearningCurve(keras.callbacks.Callback):
    """Records time and losses of each epoch.

    Args:
        path: str or path. JSON file, written after each validation and at the
            end. Defaults to none.
        start: float. Value of `time.process_time()` that counts as zero.
            Defaults to the beginning of `fit`.

    Attributes:
        stage: str, or `None`. Name of the stage in training; recorded if set.
        history: dict of lists of equal length: `epoch` (from 1),
            `cpu_seconds`, `learning_rate` (of the last step) and every number
            of the logs (`loss`, `val_loss`, …), `None` for epochs without
            validation; `stage` if set.
    """

    def __init__(self, path=None, start=None):
        super().__init__()
        self.path = None if path is None else pathlib.Path(path)
        self.start = start
        self.stage = None
        self.history = {}
        self._start = None

    @property
    def cpu_seconds(self):
        """CPU seconds since the start, 0 before the first `fit`."""
        now = time.process_time()
        return now - (now if self._start is None else self._start)

    def get_state(self):
        """The record and the clock: `history`, `cpu_seconds`."""
        return {"history": self.history, "cpu_seconds": self.cpu_seconds}

    def set_state(self, state):
        """Resumes from a state, also in another process."""
        self.history = {k: list(v) for k, v in state["history"].items()}
        self._start = time.process_time() - state["cpu_seconds"]

    def on_train_begin(self, logs=None):
        """Starts the clock; a second `fit` continues the record."""
        if self._start is None:
            now = time.process_time()
            self._start = now if self.start is None else self.start

    def on_epoch_end(self, epoch, logs=None):
        """Records the epoch."""
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        entry = {
            "epoch": len(self.history.get("epoch", ())) + 1,
            "cpu_seconds": self.cpu_seconds,
            "learning_rate": float(rate),
            **{key: float(value) for key, value in (logs or {}).items()},
        }
        if self.stage is not None:
            entry["stage"] = self.stage
        length = entry["epoch"] - 1
        for key in entry:
            self.history.setdefault(key, [None] * length)
        for key, values in self.history.items():
            values.append(entry.get(key))
        if any(key.startswith("val_") for key in entry):
            self._write()

    def on_train_end(self, logs=None):
        """Writes the file."""
        self._write()

    def _write(self):
        if self.path is not None:
            # JSON has no NaN.
            plain = {
                key: [x if _is_plain(x) else None for x in values]
                for key, values in self.history.items()
            }
            write_text(self.path, json.dumps(plain, allow_nan=False))


def _is_plain(value):
    return not isinstance(value, float) or math.isfinite(value)
