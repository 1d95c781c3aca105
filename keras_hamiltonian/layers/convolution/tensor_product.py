"""Learned product of two inputs."""

import keras

from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops.symbolic import broadcast_shapes
from keras_hamiltonian.ops.tensor_product import tensor_product


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TensorProduct(Layer):
    """Couples two inputs along every allowed path, mixing all channels.

    The most general product that is linear in both inputs and commutes with
    rotation and inversion. Inputs of unit variance make an output of unit
    variance.

    Args:
        irreps_in1, irreps_in2: str. Irreps of the inputs.
        irreps_out: str. Irreps of the output.

    Call arguments:
        x1: `(..., irreps_in1.dim)`, `ir_mul` layout.
        x2: `(..., irreps_in2.dim)`; leading axes broadcast.

    Output shape: `(..., irreps_out.dim)`.
    Raises: `ValueError` if an output irrep is in no product of the inputs.

    Example:

    >>> layer = TensorProduct("4x0e + 2x1o", "1x0e + 1x1o", "3x0e + 5x1e")
    >>> x1, x2 = keras.ops.ones((6, 10)), keras.ops.ones((6, 4))
    >>> tuple(layer(x1, x2).shape)
    (6, 18)

    Reference: `e3nn.o3.FullyConnectedTensorProduct`, weights in its order.
    """

    def __init__(self, irreps_in1, irreps_in2, irreps_out, **kwargs):
        super().__init__(**kwargs)
        self.paths = ProductPaths.fully_connected(
            irreps_in1, irreps_in2, irreps_out
        )
        self.irreps_out = self.paths.irreps_out
        reached = {path.term_out for path in self.paths.paths}
        missing = [
            str(irrep)
            for k, (_, irrep) in enumerate(self.irreps_out)
            if k not in reached
        ]
        if missing:
            raise ValueError(
                f"No product of the inputs contains {', '.join(missing)}. "
                f"Received: irreps_in1={irreps_in1}, irreps_in2={irreps_in2}, "
                f"irreps_out={irreps_out}. Remove it, or add to the inputs."
            )

    def build(self, *shapes):
        self.kernel = self.add_weight(
            shape=(self.paths.num_weights,),
            initializer=Normal(stddev=1.0),
            name="kernel",
        )

    def call(self, x1, x2):
        return tensor_product(x1, x2, self.kernel.value, self.paths)

    def compute_output_shape(self, x1_shape, x2_shape):
        leading = broadcast_shapes(x1_shape[:-1], x2_shape[:-1])
        return (*leading, self.irreps_out.dim)
