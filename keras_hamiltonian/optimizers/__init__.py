"""Optimizers for `compile`."""

from keras_hamiltonian.optimizers.muon import Muon

__all__ = ["Muon"]
