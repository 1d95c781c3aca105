"""Errors of predicted matrices, in NumPy.

While a model trains, the sum of its losses is the mean absolute error: see
`keras_hamiltonian.losses.BlockMeanAbsoluteError`.
"""

from keras_hamiltonian.metrics.levels import level_similarities
from keras_hamiltonian.metrics.levels import near_degenerate_groups
from keras_hamiltonian.metrics.matrix import MatrixErrors
from keras_hamiltonian.metrics.matrix import block_mean_absolute_errors
from keras_hamiltonian.metrics.matrix import energy_shift
from keras_hamiltonian.metrics.matrix import gauge_free_mean_absolute_error
from keras_hamiltonian.metrics.matrix import mean_absolute_error
from keras_hamiltonian.metrics.stage_comparison import StageComparison

__all__ = [
    "MatrixErrors",
    "StageComparison",
    "block_mean_absolute_errors",
    "energy_shift",
    "gauge_free_mean_absolute_error",
    "level_similarities",
    "mean_absolute_error",
    "near_degenerate_groups",
]
