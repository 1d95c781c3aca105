"""A training of seconds on crystals of s orbitals."""

import tiny_training
from small_crystals import crystal

import keras_hamiltonian as kh

TINY = {**tiny_training.TINY, "validation_freq": 1}


def small_set(path, number=3):
    """A container of chains whose bonds differ."""
    lengths = [1.1 + 0.05 * k for k in range(number)]
    crystals = [
        crystal(positions=((0.1, 1, 1), (0.1 + d, 1, 1)), name=f"{k:03}")
        for k, d in enumerate(lengths)
    ]
    return kh.HamiltonianStore.write(path, crystals)
