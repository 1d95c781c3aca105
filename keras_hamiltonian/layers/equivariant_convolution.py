"""What a bond says about its atoms: gated product with the bond direction."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.bond import bond_dim
from keras_hamiltonian.irreps.bond import irrep_kinds
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.so2_linear import SO2Linear
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.bonds import join_channels
from keras_hamiltonian.ops.bonds import split_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantConvolution(keras.layers.Layer):
    """Convolution of atom and bond features in the frame of the bond.

    Mixes its inputs (atoms at the ends, bond) by an SO(2) linear map, passes the
    `0e` channels through SiLU and multiplies all others by a sigmoid of extra
    scalars, then multiplies each channel by a function of the bond's length
    and elements. It spans the tensor product with the spherical harmonics of
    the bond.

    Args:
        irreps_in: list of str. Irreps whose channels each input has.
        irreps_out: str. Irreps of the message.
        radial_size: int. Numbers per bond from `RadialFeatures`.

    Call arguments:
        inputs: list of bond features, such as `[center, neighbor, bonds]`.
        radial: `(N, M, features)` from `RadialFeatures`.

    Output: bond features whose channels follow `irreps_out`; kinds that
        nothing reaches are absent.

    Reference: DeepH-E3 (Gong et al. 2023) for the sequence product, gate,
        radial weights; eSCN (Passaro & Zitnick 2023) for the frame.
    """

    def __init__(
        self,
        irreps_in,
        irreps_out,
        radial_size=64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_in = [Irreps(i) for i in irreps_in]
        self.irreps_out = Irreps(irreps_out)
        self.radial_size = radial_size
        self.num_gates = self.irreps_out.num_irreps - self.irreps_out.count(
            "0e"
        )
        channels = bond_channels(self.irreps_out)
        self.kinds = list(channels)
        channels["0+"] = channels.get("0+", 0) + self.num_gates
        self.linear = SO2Linear(
            [bond_channels(i) for i in self.irreps_in],
            channels,
            dtype=self.dtype_policy,
            name="linear",
        )
        self.kinds = [k for k in self.kinds if k in self.linear.kinds_out]

    def build(self, inputs_shape=None, radial_shape=None):
        self.linear.build()
        self.radial_kernel = self.add_weight(
            shape=(self.radial_size, self.irreps_out.num_irreps),
            initializer=keras.initializers.RandomNormal(
                stddev=self.radial_size**-0.5
            ),
            name="radial_kernel",
        )
        self.radial_bias = self.add_weight(
            shape=(self.irreps_out.num_irreps,),
            initializer="ones",
            name="radial_bias",
        )

    def call(self, inputs, radial):
        mixed = self.linear.call(inputs)
        weights = backend.dense(radial, self.radial_kernel.value)
        weights = weights + self.radial_bias.value
        num_sigma = bond_channels(self.irreps_out).get("0+", 0)
        sigma, gates = mixed["0+"], None
        if self.num_gates:
            sigma, gates = split_channels(sigma, [num_sigma, self.num_gates])
        factors = self._factors(gates, weights[:, :, None])
        result = {}
        for kind in self.kinds:
            x = sigma if kind == "0+" else mixed[kind]
            if kind == "0+" and self._num_scalars:
                scalars = self._num_scalars
                first, rest = split_channels(x, [scalars, num_sigma - scalars])
                x = join_channels([backend.silu(first), rest])
            result[kind] = x * self._factors_of(kind, factors)
        return result

    def compute_output_shape(self, inputs_shape, radial_shape):
        leading = tuple(radial_shape[:2])
        channels = bond_channels(self.irreps_out)
        return {
            kind: (*leading, bond_dim(kind), channels[kind])
            for kind in self.kinds
        }

    def get_config(self):
        return {
            **super().get_config(),
            "irreps_in": [str(i) for i in self.irreps_in],
            "irreps_out": str(self.irreps_out),
            "radial_size": self.radial_size,
        }

    @property
    def _num_scalars(self):
        return self.irreps_out.count("0e")

    def _factors(self, gates, radial):
        """Per irrep channel: radial weight, times the gate if it has one."""
        if gates is None:
            return {irrep: radial for _, irrep in self.irreps_out}
        sizes = [mul for mul, _ in self.irreps_out]
        gated = [m for m, irrep in self.irreps_out if irrep != Irrep(0, 1)]
        weights = split_channels(radial, sizes)
        gates = iter(split_channels(backend.sigmoid(gates), gated))
        return {
            irrep: weight if irrep == Irrep(0, 1) else weight * next(gates)
            for (_, irrep), weight in zip(self.irreps_out, weights)
        }

    def _factors_of(self, kind, factors):
        return join_channels(
            factors[irrep]
            for _, irrep in self.irreps_out
            if kind in irrep_kinds(irrep)
        )
