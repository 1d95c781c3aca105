"""A correction on top of given blocks."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.spin import both_spins


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BlockSum(Layer):
    """Adds corrections to the blocks of a first stage, or to H⁰.

    Call arguments:
        onsite, hopping: the known blocks, eV.
        corrections: dict of `"onsite"` and `"hopping"`, of the same shapes;
            or without spin: they are then the same for both spins.

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
        added = corrections["onsite"], corrections["hopping"]
        if len(added[0].shape) < len(onsite.shape):
            added = [both_spins(blocks) for blocks in added]
        return {"onsite": onsite + added[0], "hopping": hopping + added[1]}

    def compute_output_shape(self, onsite_shape, hopping_shape):
        return {"onsite": tuple(onsite_shape), "hopping": tuple(hopping_shape)}
