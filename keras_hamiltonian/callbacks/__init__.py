"""Callbacks for `fit`."""

from keras_hamiltonian.callbacks.budget_bar import BudgetBar
from keras_hamiltonian.callbacks.callback_state import checkpoint_members
from keras_hamiltonian.callbacks.cosine_budget import CosineBudget
from keras_hamiltonian.callbacks.in_step import InStep
from keras_hamiltonian.callbacks.learning_curve import LearningCurve
from keras_hamiltonian.callbacks.revert_on_nan import RevertOnNaN
from keras_hamiltonian.callbacks.revert_on_spike import RevertOnSpike
from keras_hamiltonian.callbacks.training_checkpoint import TrainingCheckpoint

__all__ = [
    "BudgetBar",
    "CosineBudget",
    "InStep",
    "LearningCurve",
    "RevertOnNaN",
    "RevertOnSpike",
    "TrainingCheckpoint",
    "checkpoint_members",
]
