"""Errors of predicted matrices, in NumPy; `TrainingError` while it trains."""

from keras_hamiltonian.metrics.levels import level_similarities
from keras_hamiltonian.metrics.levels import near_degenerate_groups
from keras_hamiltonian.metrics.matrix import MatrixErrors
from keras_hamiltonian.metrics.matrix import block_mean_absolute_errors
from keras_hamiltonian.metrics.matrix import energy_shift
from keras_hamiltonian.metrics.matrix import gauge_free_mean_absolute_error
from keras_hamiltonian.metrics.matrix import mean_absolute_error
from keras_hamiltonian.metrics.stage_comparison import StageComparison
from keras_hamiltonian.metrics.training_error import TrainingError

__all__ = [
    "MatrixErrors",
    "StageComparison",
    "TrainingError",
    "block_mean_absolute_errors",
    "energy_shift",
    "gauge_free_mean_absolute_error",
    "level_similarities",
    "mean_absolute_error",
    "near_degenerate_groups",
]
