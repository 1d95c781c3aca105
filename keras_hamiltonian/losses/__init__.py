"""Losses for `compile`, and the error that it can report."""

from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.losses.block_errors import BlockMeanSquaredError
from keras_hamiltonian.losses.elements import ElementLoss
from keras_hamiltonian.losses.elements import ElementMetric
from keras_hamiltonian.losses.k_space import KSpaceLoss
from keras_hamiltonian.losses.k_space import between_states
from keras_hamiltonian.losses.trace_loss import TraceLoss
from keras_hamiltonian.losses.training_error import TrainingError

__all__ = [
    "BlockMeanAbsoluteError",
    "BlockMeanSquaredError",
    "ElementLoss",
    "ElementMetric",
    "KSpaceLoss",
    "TraceLoss",
    "TrainingError",
    "between_states",
]
