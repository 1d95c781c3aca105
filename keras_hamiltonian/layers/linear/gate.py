"""Activation of irreps."""

import keras

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.tensor_product import join_terms
from keras_hamiltonian.ops.tensor_product import split_terms


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class Gate(Layer):
    """Passes scalars through SiLU and gates everything else by scalars.

    Channels of `0e` are activated themselves. All others, `0o` too, are
    multiplied by the sigmoid of a `0e` channel of their own, which comes in
    addition and goes no further.

    Args:
        irreps_out: str. Irreps of the output; equal ones are joined.

    Input shape: `(..., irreps_in.dim)`, `ir_mul` layout, with `irreps_in` those
        of the output and one more `0e` for each channel that is not `0e`. The
        gates are the last channels of `0e`.
    Output shape: `(..., irreps_out.dim)`.

    Example:

    >>> gate = Gate("8x0e + 4x1o")
    >>> str(gate.irreps_in), str(gate.irreps_out)
    ('12x0e+4x1o', '8x0e+4x1o')
    >>> tuple(gate(keras.ops.ones((5, 24))).shape)
    (5, 20)

    Reference: Weiler et al. 2018; `e3nn.nn.Gate`, which also rescales.
    """

    def __init__(self, irreps_out, **kwargs):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps_out).regrouped()
        self.num_scalars = self.irreps_out.count("0e")
        self.num_gates = self.irreps_out.num_irreps - self.num_scalars
        gates = Irreps([(self.num_gates, Irrep(0, 1))])
        self.irreps_in = (self.irreps_out + gates).regrouped()

    def call(self, features):
        terms = split_terms(features, self.irreps_in)
        scalars = terms[0]
        results = []
        if self.num_scalars:
            results.append(backend.silu(scalars[..., : self.num_scalars]))
        start = self.num_scalars
        gated = self.irreps_out[1:] if self.num_scalars else self.irreps_out
        for (mul, _), x in zip(gated, terms[1:]):
            gate = backend.sigmoid(scalars[..., start : start + mul])
            results.append(x * gate)
            start += mul
        return join_terms(results, self.irreps_out)

    def compute_output_shape(self, features_shape):
        return (*features_shape[:-1], self.irreps_out.dim)
