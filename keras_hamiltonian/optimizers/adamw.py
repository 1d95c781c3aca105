"""AdamW for trainings of one process or of several."""

import keras

from keras_hamiltonian.strategy import total_gradients

# That of the running backend: on torch one that takes all steps at once.
OwnAdamW = type(keras.optimizers.AdamW.__new__(keras.optimizers.AdamW))


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class AdamW(OwnAdamW):
    """`keras.optimizers.AdamW`, with the gradients of all processes.

    Where one process trains it is that of Keras.

    Args:
        *args, **kwargs: of `keras.optimizers.AdamW`.

    Reference: Loshchilov and Hutter, arXiv 1711.05101.
    """

    def apply(self, grads, trainable_variables=None):
        variables = trainable_variables or self._trainable_variables
        grads = total_gradients(grads, variables)
        return super().apply(grads, trainable_variables)
