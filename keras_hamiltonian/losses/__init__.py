"""Losses for `compile`."""

from keras_hamiltonian.losses.block_errors import BlockMeanAbsoluteError
from keras_hamiltonian.losses.block_errors import BlockMeanSquaredError

__all__ = ["BlockMeanAbsoluteError", "BlockMeanSquaredError"]
