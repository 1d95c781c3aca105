"""First values of weights."""

import random

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class Normal(keras.initializers.Initializer):
    """Normal numbers, drawn by NumPy: one seed is one model on any backend.

    `keras.initializers.RandomNormal` draws on the backend, where JAX compiles a
    program for every shape: a fifth of the time to the first training step.

    Args:
        stddev: float, or array that broadcasts against the shape.
        seed: int. By default one of Python's `random`, as in Keras, so that
            `keras.utils.set_random_seed` sets it.
    """

    def __init__(self, stddev=1.0, seed=None):
        self.stddev = stddev
        self.seed = random.randint(1, 10**9) if seed is None else seed

    def __call__(self, shape, dtype=None):
        values = np.random.default_rng(self.seed).normal(size=shape)
        return keras.ops.convert_to_tensor(
            values * self.stddev, dtype or keras.config.floatx()
        )

    def get_config(self):
        """Arguments of the constructor."""
        return {"stddev": self.stddev, "seed": self.seed}
