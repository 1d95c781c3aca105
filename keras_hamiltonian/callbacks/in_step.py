"""Processes that take the same steps with the same weights."""

import keras


class InStep(keras.callbacks.Callback):
    """Lets the first process decide for all that train one model.

    Other callbacks belong to the first process: they set the learning rate, end
    the training, go back to earlier weights, and write files. This one is the
    last of the first process and the only one of the others, which take over
    the learning rate and the end at every step, and the weights at the
    beginning of an epoch, at the end, and when the first process went back.

    Args:
        group: `kh.strategy.Group`.
        dataset: object with `get_state` and `set_state`, whose order the
            others take over.
    """

    def __init__(self, group, dataset):
        super().__init__()
        self.group = group
        self.dataset = dataset
        self._iterations = None

    def on_train_begin(self, logs=None):
        """The order of the data is not known yet: a checkpoint keeps it."""
        self._is_new = True
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch, logs=None):
        """Takes the weights; of the first epoch the order of the data, too."""
        if self._is_new:
            state = self.group.first(self.dataset.get_state())
            if not self.group.is_first:
                self.dataset.set_state(state)
            self._is_new = False
        self._share()

    def on_train_batch_begin(self, batch, logs=None):
        """Takes the learning rate; the weights, if steps were undone."""
        optimizer = self.model.optimizer
        is_undone = int(optimizer.iterations) != self._iterations
        rate, is_undone = self.group.first(
            (float(optimizer.learning_rate), is_undone)
        )
        if is_undone:
            self._share()
        # A schedule is equal on all, and cannot be set.
        if float(optimizer.learning_rate) != rate:
            optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        """Takes the decision to stop."""
        self._iterations += 1
        self._stop()

    def on_epoch_end(self, epoch, logs=None):
        """Takes the decision to stop, after validation."""
        self._stop()

    def on_train_end(self, logs=None):
        """Takes the weights, which callbacks may have changed at the end."""
        self._share()

    def _stop(self):
        self.model.stop_training = self.group.first(self.model.stop_training)

    def _share(self):
        optimizer = self.model.optimizer
        self.group.share([*self.model.variables, *optimizer.variables])
        self._iterations = int(optimizer.iterations)
