"""A model of one weight, so that callbacks are tested in no time."""

import keras
import numpy as np

X = np.ones((8, 1), "float32")
Y = np.zeros((8, 1), "float32")


def small_model(learning_rate=0.1):
    """A compiled model that learns to return zero."""
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(1, use_bias=False)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(learning_rate), loss="mae", jit_compile=False
    )
    model.set_weights([np.ones((1, 1), "float32")])
    return model
