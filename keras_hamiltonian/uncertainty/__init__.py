"""How far a model can be trusted: expected errors, and what it has not seen."""

from keras_hamiltonian.uncertainty.error_estimate import ErrorEstimate
from keras_hamiltonian.uncertainty.expected_errors import ExpectedErrors
from keras_hamiltonian.uncertainty.feature_distance import FeatureDistance
from keras_hamiltonian.uncertainty.lattice_images import common_translations
from keras_hamiltonian.uncertainty.lattice_images import missing_translations
from keras_hamiltonian.uncertainty.prediction_warnings import level_warnings
from keras_hamiltonian.uncertainty.prediction_warnings import structure_warnings
from keras_hamiltonian.uncertainty.typical_errors import TypicalErrors

__all__ = [
    "ErrorEstimate",
    "ExpectedErrors",
    "FeatureDistance",
    "TypicalErrors",
    "common_translations",
    "level_warnings",
    "missing_translations",
    "structure_warnings",
]
