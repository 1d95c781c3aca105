"""Optimizers for `compile`."""

from keras_hamiltonian.optimizers.adamw import AdamW
from keras_hamiltonian.optimizers.muon import Muon

__all__ = ["AdamW", "Muon"]
