"""What an edge says about its atoms: gated product with the edge direction."""

import keras

from keras_hamiltonian.irreps.edge import irrep_kinds
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantConvolution(Layer):
    """Convolution of atom and edge features in the frame of the edge.

    Mixes its inputs (atoms at the ends, edge) by an SO(2) linear map, passes
    the `0e` channels through SiLU and multiplies all others by a sigmoid of
    extra scalars, then multiplies each channel by a function of the edge's
    length and elements. It spans the tensor product with the spherical
    harmonics of the edge.

    Args:
        irreps_in: list of str. `EdgeIrreps` of each input.
        irreps_out: str. Irreps of the message.
        radial_size: int. Numbers per edge from `RadialFeatures`.
        dropout: float. Fraction of the channels of a message that are left out
            in training, all components of an irrep together, the others in
            proportion larger.
        edge_dropout: float. The same of whole messages.

    Call arguments:
        inputs: list of edge features, such as `[center, neighbor, edges]`.
        radial: `(N, M, features)` from `RadialFeatures`.

    Output: edge features whose channels follow `irreps_out`; kinds that
        nothing reaches are absent.

    Example:

    >>> layer = EquivariantConvolution(["4x0+"], "4x0e + 2x1o", radial_size=6)
    >>> edges = {"0+": keras.ops.ones((3, 2, 1, 4))}
    >>> messages = layer([edges], keras.ops.ones((3, 2, 6)))
    >>> {kind: tuple(x.shape) for kind, x in messages.items()}
    {'0+': (3, 2, 1, 6)}

    Reference: DeepH-E3 (Gong et al. 2023) for the sequence product, gate,
        radial weights; eSCN (Passaro & Zitnick 2023) for the frame.
    """

    def __init__(
        self,
        irreps_in,
        irreps_out,
        radial_size=64,
        dropout=0.0,
        edge_dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_in = [EdgeIrreps(i) for i in irreps_in]
        self.irreps_out = Irreps(irreps_out).regrouped()
        self.radial_size = radial_size
        self.num_gates = self.irreps_out.num_irreps - self.irreps_out.count(
            "0e"
        )
        self.channels = EdgeIrreps(self.irreps_out)
        self.linear = SO2Linear(
            self.irreps_in,
            self.channels + {"0+": self.num_gates},
            dtype=self.dtype_policy,
            name="linear",
        )
        # With `noise_shape` the mask follows from a seed of the layer on torch.
        self.dropouts = [
            keras.layers.Dropout(rate, noise_shape, dtype=self.dtype_policy)
            for rate, noise_shape in (
                (dropout, (None, None, 1, None)),
                (edge_dropout, (None, None, 1, 1)),
            )
            if rate
        ]
        self.kinds = [k for k in self.channels if k in self.linear.irreps_out]

    def build(self, *shapes):
        self.linear.build()
        self.radial_kernel = self.add_weight(
            shape=(self.radial_size, self.irreps_out.num_irreps),
            initializer=Normal(stddev=self.radial_size**-0.5),
            name="radial_kernel",
        )
        self.radial_bias = self.add_weight(
            shape=(self.irreps_out.num_irreps,),
            initializer="ones",
            name="radial_bias",
        )

    def call(self, inputs, radial, training=None):
        mixed = self.linear.call(inputs)
        weights = backend.sum_of_products(
            [radial], [self.radial_kernel.value], self.radial_bias.value
        )[:, :, None]
        sigma, gates = mixed.get("0+"), None
        if self.num_gates:
            num_sigma = self.channels.get("0+", 0)
            sigma, gates = split_channels(sigma, [num_sigma, self.num_gates])
        factors = weights * backend.sigmoid(self._gates(sigma, gates))
        for dropout in self.dropouts:
            factors = dropout.call(factors, training)
        return {
            kind: (sigma if kind == "0+" else mixed[kind])
            * self._channels_of(kind, factors)
            for kind in self.kinds
        }

    def compute_output_shape(self, inputs_shape, radial_shape):
        shapes = self.channels.shapes(tuple(radial_shape[:2]))
        return {kind: shapes[kind] for kind in self.kinds}

    def _gates(self, sigma, gates):
        """One gate per channel: scalars gate themselves, which is SiLU."""
        scalars = self.irreps_out.count("0e")
        if not scalars:
            return gates
        own = sigma[..., :scalars]
        return own if gates is None else join_channels([own, gates])

    def _channels_of(self, kind, factors):
        """The part of `factors` (one per irrep) that a kind's channels use."""
        ranges = []
        start = 0
        for mul, irrep in self.irreps_out:
            if kind in irrep_kinds(irrep):
                if ranges and ranges[-1][1] == start:
                    ranges[-1][1] = start + mul
                else:
                    ranges.append([start, start + mul])
            start += mul
        return join_channels(factors[..., a:b] for a, b in ranges)
