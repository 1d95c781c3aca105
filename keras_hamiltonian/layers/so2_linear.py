"""Linear map of bond features."""

import keras

from keras_hamiltonian.irreps.bond import bond_dim
from keras_hamiltonian.ops.bonds import so2_linear


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SO2Linear(keras.layers.Layer):
    """Mixes the channels of each kind of one or more bond features.

    Args:
        channels_in: list of dicts from kind to number of channels, one for
            each bond feature of the call.
        channels_out: dict from kind to number of channels. Kinds that no input
            has are left out of the result.
        use_bias: bool. Adds a bias to `"0+"`.
        gain: float. Factor of the initial standard deviation
            `1 / sqrt(channels in)`.

    Call arguments:
        inputs: list of bond features (see `keras_hamiltonian.ops.bonds`).

    Output: bond features.
    """

    def __init__(
        self, channels_in, channels_out, use_bias=True, gain=1.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.channels_in = [dict(c) for c in channels_in]
        self.channels_out = dict(channels_out)
        self.use_bias = use_bias
        self.gain = gain
        self.kernels = {}
        for kind, size in self.channels_out.items():
            total = sum(c.get(kind, 0) for c in self.channels_in)
            if total == 0:
                continue
            self.kernels[kind] = [
                self._kernel(kind, number, c.get(kind, 0), size, total)
                for number, c in enumerate(self.channels_in)
            ]
        self.bias = None
        if use_bias and "0+" in self.kernels:
            self.bias = self.add_weight(
                shape=(self.channels_out["0+"],),
                initializer="zeros",
                name="bias",
            )

    @property
    def kinds_out(self):
        """Dict from kind to channels of what the layer returns."""
        return {kind: self.channels_out[kind] for kind in self.kernels}

    def build(self, inputs_shape):
        self.built = True

    def call(self, inputs):
        kernels = {
            kind: [
                None if k is None else keras.ops.convert_to_tensor(k)
                for k in kernels
            ]
            for kind, kernels in self.kernels.items()
        }
        result = so2_linear(inputs, kernels)
        if self.bias is not None:
            result["0+"] = result["0+"] + self.bias
        return result

    def compute_output_shape(self, inputs_shape):
        leading = next(iter(inputs_shape[0].values()))[:2]
        return {
            kind: (*leading, bond_dim(kind), size)
            for kind, size in self.kinds_out.items()
        }

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels_out": self.channels_out,
            "use_bias": self.use_bias,
            "gain": self.gain,
        }

    def _kernel(self, kind, number, size_in, size_out, total):
        if size_in == 0:
            return None
        return self.add_weight(
            shape=(size_in, size_out),
            initializer=keras.initializers.RandomNormal(
                stddev=self.gain * total**-0.5
            ),
            name=f"kernel_{kind}_{number}",
        )
