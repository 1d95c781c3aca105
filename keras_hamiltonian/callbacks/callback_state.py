"""What callbacks of Keras remember, for checkpoints."""

import keras

MEMORIES = {
    keras.callbacks.EarlyStopping: (
        "wait",
        "stopped_epoch",
        "best",
        "best_epoch",
        "best_weights",
    ),
    keras.callbacks.ModelCheckpoint: ("best",),
}


class CallbackState:
    """Lets a `TrainingCheckpoint` keep what a callback of Keras remembers.

    Args:
        callback: `keras.callbacks.Callback`.
        names: sequence of str. Its attributes: numbers, `None`, or lists of
            arrays.
    """

    def __init__(self, callback, names):
        self.callback = callback
        self.names = names

    def get_state(self):
        """Dict of the attributes."""
        found = {name: getattr(self.callback, name) for name in self.names}
        return {
            name: value
            if value is None or isinstance(value, list | int)
            # Numbers come as those of NumPy or of the backend.
            else float(value)
            for name, value in found.items()
        }

    def set_state(self, state):
        """Sets the attributes."""
        for name, value in state.items():
            setattr(self.callback, name, value)


def checkpoint_members(callbacks):
    """Members of a `TrainingCheckpoint` for callbacks of any origin.

    Args:
        callbacks: iterable of `keras.callbacks.Callback`.

    Returns:
        List: callbacks that have `get_state` and `set_state`, and the memory
        of Keras' `EarlyStopping` and `ModelCheckpoint`. Others have nothing
        to keep.
    """
    members = []
    for callback in callbacks:
        if hasattr(callback, "get_state"):
            members.append(callback)
            continue
        for known, names in MEMORIES.items():
            if isinstance(callback, known):
                members.append(CallbackState(callback, names))
    return members
