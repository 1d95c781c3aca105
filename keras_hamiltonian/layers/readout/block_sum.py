"""A correction on top of given blocks."""

import keras

from keras_hamiltonian.layers.layer import Layer


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BlockSum(Layer):
    """Adds corrections to the blocks of a first stage.

    Call arguments:
        onsite, hopping: blocks of the first stage, eV.
        corrections: dict of `"onsite"` and `"hopping"`, of the same shapes.

    Output: a dict of `"onsite"` and `"hopping"`.

    Example:

    >>> blocks = {
    ...     "onsite": keras.ops.ones((2, 4, 4)),
    ...     "hopping": keras.ops.ones((2, 3, 4, 4)),
    ... }
    >>> total = BlockSum()(blocks["onsite"], blocks["hopping"], blocks)
    >>> float(total["hopping"][0, 0, 0, 0])
    2.0
    """

    def call(self, onsite, hopping, corrections):
        return {
            "onsite": onsite + corrections["onsite"],
            "hopping": hopping + corrections["hopping"],
        }

    def compute_output_shape(self, onsite_shape, hopping_shape):
        return {"onsite": tuple(onsite_shape), "hopping": tuple(hopping_shape)}
