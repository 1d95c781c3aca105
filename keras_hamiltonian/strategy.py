"""Processes or devices that train one model together.

Each process takes its share of every batch. The weights of `HamiltonianDataset`
sum to one over the whole batch, so losses and gradients are summed over the
processes, and are those that one process would find. Devices of one process
share its batch atom by atom.
"""

import contextlib
import contextvars
import dataclasses
import logging
import os
import warnings

import keras

from keras_hamiltonian.messages import logger

_group = contextvars.ContextVar("group", default=None)
_is_step = contextvars.ContextVar("is_step", default=False)


@dataclasses.dataclass(frozen=True)
class Group:
    """Who trains a model.

    Attributes:
        rank: int. Number of this process.
        size: int. Processes, with a share of every batch each.
        num_devices: int. Devices of this process.
    """

    rank: int = 0
    size: int = 1
    num_devices: int = 1

    @property
    def is_first(self):
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def first(self, value):
        """The value that the first process gives, on all of them."""
        return value if self.size == 1 else _messages().first(value)

    def share(self, variables):
        """Gives all processes the variables of the first one."""
        if self.size == 1:
            return
        values = None
        if self.is_first:
            values = [keras.ops.convert_to_numpy(v) for v in variables]
        for variable, value in zip(variables, self.first(values)):
            if not self.is_first:
                variable.assign(value)

    @contextlib.contextmanager
    def in_turn(self):
        """First the first process, then the others, which find its files."""
        if not self.is_first:
            _messages().wait()
        yield
        if self.is_first and self.size > 1:
            _messages().wait()


def current():
    """The `Group` of the training under way; else this process alone."""
    return _group.get() or Group()


@contextlib.contextmanager
def together(strategy="auto"):
    """What is trained inside is trained by several processes or devices.

    Args:
        strategy: `"ddp"`: the processes that `torchrun` started, on torch.
            `"data_parallel"`: all devices that JAX sees, by
            `keras.distribution.DataParallel`. `"auto"`: the first where
            `torchrun` runs, else `None`: this process alone.

    Yields:
        `Group`. Only its first process prints and warns.

    Raises:
        ValueError: for another strategy, on another backend, or without
            `torchrun`.
    """
    if strategy == "auto":
        number = int(os.environ.get("WORLD_SIZE", 1))
        strategy = "ddp" if number > 1 and "RANK" in os.environ else None
    found = {None: _alone, "ddp": _ddp, "data_parallel": _data_parallel}
    if strategy not in found:
        raise ValueError(
            '`strategy` is "auto", "ddp", "data_parallel" or None. Received: '
            f"{strategy!r}."
        )
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(found[strategy]())
        token = _group.set(group)
        stack.callback(_group.reset, token)
        if not group.is_first:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        yield group


@contextlib.contextmanager
def step():
    """A training step: inside, `total` sums over the processes."""
    token = _is_step.set(current().size > 1)
    try:
        yield
    finally:
        _is_step.reset(token)


def total(x):
    """A sum over a batch, of all processes in a training step.

    Losses that are no sums over structures need it, such as roots of sums.

    Args:
        x: tensor. The sum over the structures of this process.

    Returns:
        Tensor of its shape; its gradient is that of the own term, because
        gradients are summed afterwards. Outside of a step x itself.
    """
    return _messages().total(x) if _is_step.get() else x


def total_gradients(gradients, variables):
    """Gradients summed over the processes of a step.

    Args:
        gradients: list of tensors; `None` where a variable has none.
        variables: list of `keras.Variable`.

    Returns:
        List of tensors, `None` where no process has one. Outside of a step
        that which was given.
    """
    if not _is_step.get():
        return gradients
    return _messages().totals(gradients, [v.value for v in variables])


@contextlib.contextmanager
def _alone():
    yield Group()


@contextlib.contextmanager
def _ddp():
    if keras.config.backend() != "torch":
        raise ValueError(
            f"torchrun trains on torch, and this is {keras.config.backend()}. "
            "Set KERAS_BACKEND=torch; on JAX leave torchrun out, and take "
            'strategy="data_parallel" for several devices.'
        )
    if not {"RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"} <= os.environ.keys():
        raise ValueError(
            'strategy="ddp" takes the processes that torchrun starts, and it '
            "started none: torchrun --nproc-per-node 2 -m keras_hamiltonian "
            "train my_set.h5."
        )
    with _messages().connected() as (rank, size):
        yield Group(rank, size)


@contextlib.contextmanager
def _data_parallel():
    if keras.config.backend() != "jax":
        raise ValueError(
            'strategy="data_parallel" is one of JAX, and this is '
            f"{keras.config.backend()}. Set KERAS_BACKEND=jax; on torch start "
            "the training with torchrun."
        )
    devices = keras.distribution.list_devices()
    if len(devices) == 1:
        yield Group()
        return
    with AtomParallel(devices=devices).scope():
        yield Group(num_devices=len(devices))


class AtomParallel(keras.distribution.DataParallel):
    """Arrays of a batch lie in equal parts on the devices, atom by atom; those
    that cannot be divided lie on each."""

    def get_data_layout(self, data_shape):
        """The layout of an array of a batch."""
        if data_shape and data_shape[0] % self.device_mesh.devices.size == 0:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout(
            [None] * len(data_shape), self.device_mesh
        )


def _messages():
    from keras_hamiltonian.ops.backend.torch import processes

    return processes
