"""Checkpoints from which a training resumes."""

import json
import pathlib
import random

import keras
import numpy as np

from keras_hamiltonian.files import replacing


class TrainingCheckpoint(keras.callbacks.Callback):
    """Writes the state of a training into one file, and resumes from it.

    The file contains all variables of the model (with seeds of random layers)
    and of the optimizer, the state of Python's random generator, and the
    states of `members`. It is complete at any moment, so the process may be
    killed. With a budget of steps, on the same backend and with one thread, a
    resumed training ends in the same weights, bit for bit; with a budget of
    CPU seconds, the count continues.

    Keras' `BackupAndRestore` keeps model, optimizer and epoch in two files,
    but neither callbacks nor the order of the data.

    Args:
        path: str or path. The file, `.npz`.
        members: iterable of objects with `get_state` and `set_state`: the
            `HamiltonianDataset` of the training, `CosineBudget`,
            `LearningCurve`, `RevertOnSpike`. States are dicts of JSON values
            and lists of arrays. See `checkpoint_members` for callbacks of
            Keras.
        every: int. Epochs between two checkpoints.
        fingerprint: str. Checksum of everything that the training depends on.

    Attributes:
        epoch: int. Number of finished epochs, for `fit(initial_epoch=...)`.
        is_finished: bool. Whether the training has ended: then call `restore`
            instead of `fit`.

    Raises:
        ValueError: if the file has another fingerprint or other members, or
            does not fit the model.

    Example:

    >>> budget = CosineBudget(1e-2, steps=5000)           # doctest: +SKIP
    >>> checkpoint = TrainingCheckpoint(                  # doctest: +SKIP
    ...     "run/checkpoint.npz", [training, budget]
    ... )
    >>> model.fit(                                        # doctest: +SKIP
    ...     training,
    ...     epochs=10**6,
    ...     initial_epoch=checkpoint.epoch,
    ...     shuffle=False,  # the data set shuffles
    ...     callbacks=[budget, checkpoint],
    ... )
    """

    def __init__(self, path, members=(), every=10, fingerprint=None):
        super().__init__()
        self.path = pathlib.Path(path)
        self.members = list(members)
        self.every = every
        self.fingerprint = fingerprint
        self.epoch = 0
        self.is_finished = False
        self._last = 0
        self._to_restore = self.path.is_file()
        if self._to_restore:
            with np.load(self.path) as file:
                header = _header(file)
            self._check(header)
            self.epoch = header["epoch"]
            self.is_finished = header["is_finished"]

    def on_epoch_begin(self, epoch, logs=None):
        """Restores the state once; else writes that of the last epoch, and
        that of the beginning."""
        # At the end of that epoch, other callbacks may not have seen it yet.
        if self._to_restore:
            self.restore()
        elif epoch - self.epoch >= self.every or not self.path.is_file():
            self._write(epoch, is_finished=False)

    def on_epoch_end(self, epoch, logs=None):
        """Counts the epochs."""
        self._last = epoch + 1

    def on_train_end(self, logs=None):
        """Writes the state of the trained model."""
        self._write(self._last, is_finished=True)

    def restore(self, model=None):
        """Restores model, optimizer and members from the file.

        Args:
            model: `keras.Model`. Needed outside of `fit`; the optimizer of a
                compiled model is restored too.
        """
        if model is not None:
            self.set_model(model)
        self.restore_weights()
        with np.load(self.path) as file:
            header = _header(file)
            if len(self.members) != len(header["members"]):
                raise ValueError(
                    f"{self.path} keeps the states of {len(header['members'])} "
                    f"callbacks and data sets, and {len(self.members)} are "
                    "given. Give the callbacks that the training began with, "
                    "or train from the start: delete the file, or give "
                    "again=True (--again) to `kh.train`."
                )
            for k, (member, state) in enumerate(
                zip(self.members, header["members"], strict=True)
            ):
                for key in header["with_arrays"][k]:
                    state[key] = _arrays(file, f"member{k}.{key}")
                member.set_state(state)
        version, numbers, rest = header["random"]
        random.setstate((version, tuple(numbers), rest))
        self._to_restore = False

    def restore_weights(self):
        """Restores model and optimizer alone from the file."""
        with np.load(self.path) as file:
            for name, variables in self._variables().items():
                _assign(self.path, variables, _arrays(file, name))

    def _write(self, epoch, is_finished):
        arrays, members, with_arrays = {}, [], []
        for name, variables in self._variables().items():
            values = [keras.ops.convert_to_numpy(v) for v in variables]
            _add(arrays, name, values)
        for k, member in enumerate(self.members):
            state = dict(member.get_state())
            keys = [key for key, x in state.items() if _is_arrays(x)]
            for key in keys:
                _add(arrays, f"member{k}.{key}", state.pop(key))
            members.append(state)
            with_arrays.append(keys)
        header = {
            "fingerprint": self.fingerprint,
            "backend": keras.config.backend(),
            "epoch": epoch,
            "is_finished": is_finished,
            "random": random.getstate(),
            "members": members,
            "with_arrays": with_arrays,
        }
        text = json.dumps(header).encode()
        arrays["header"] = np.frombuffer(text, np.uint8)
        with replacing(self.path) as place, place.open("wb") as file:
            np.savez(file, **arrays)
        self.epoch, self.is_finished = epoch, is_finished

    def _variables(self):
        found = {"model": list(self.model.variables)}
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            if not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            found["optimizer"] = list(optimizer.variables)
        return found

    def _check(self, header):
        backend = keras.config.backend()
        if header["backend"] != backend:
            raise ValueError(
                f"{self.path} was written on {header['backend']}, and this is "
                f"{backend}. Resume with KERAS_BACKEND={header['backend']}, or "
                "delete the file to train from the start."
            )
        if self.fingerprint not in (None, header["fingerprint"]):
            raise ValueError(
                f"{self.path} is the checkpoint of another training: data, "
                "settings or the version of the package differ. Restore them "
                "to resume. To train from the start delete the file, or give "
                "again=True (--again) to `kh.train`."
            )


def _header(file):
    return json.loads(file["header"].tobytes())


def _is_arrays(value):
    return isinstance(value, list) and any(
        isinstance(item, np.ndarray) for item in value
    )


def _add(arrays, name, values):
    for k, value in enumerate(values):
        arrays[f"{name}.{k}"] = value


def _arrays(file, name):
    found = []
    while f"{name}.{len(found)}" in file:
        found.append(file[f"{name}.{len(found)}"])
    return found


def _assign(path, variables, values):
    ours = [tuple(v.shape) for v in variables]
    theirs = [v.shape for v in values]
    if ours != theirs:
        raise ValueError(
            f"{path} does not fit this model: it has {len(theirs)} arrays "
            f"where the model has {len(ours)} variables, or their shapes "
            "differ. Build the model as it was, or delete the file."
        )
    for variable, value in zip(variables, values):
        variable.assign(value)
