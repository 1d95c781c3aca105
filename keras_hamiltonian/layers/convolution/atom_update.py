"""Residual update of atom features."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class AtomUpdate(Layer):
    """Adds what the neighbours said.

    The sum of messages passes a linear map with weights of the atom's own
    element.

    Args:
        irreps_in: str. Irreps of the atoms before.
        irreps_messages: str. Irreps of the summed messages.
        irreps_out: str. Irreps of the atoms after; if they differ from
            `irreps_in`, what both have passes a linear map.
        num_species: int. Elements in the basis.

    Call arguments:
        atoms: `(N, irreps_in.dim)`, `ir_mul` layout.
        messages: `(N, irreps_messages.dim)`.
        species: `(N,)` int.

    Output shape: `(N, irreps_out.dim)`.

    Example:

    >>> layer = AtomUpdate("4x0e", "4x0e + 2x1o", "4x0e + 2x1o", num_species=2)
    >>> species = keras.ops.convert_to_tensor([0, 1, 1])
    >>> atoms, messages = keras.ops.ones((3, 4)), keras.ops.ones((3, 10))
    >>> tuple(layer(atoms, messages, species).shape)
    (3, 10)
    """

    def __init__(
        self, irreps_in, irreps_messages, irreps_out, num_species, **kwargs
    ):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps_in)
        self.irreps_messages = Irreps(irreps_messages)
        self.irreps_out = Irreps(irreps_out)
        self.num_species = num_species
        own = {"dtype": self.dtype_policy}
        self.linear = EquivariantLinear(
            self.irreps_messages,
            self.irreps_out,
            num_species=num_species,
            name="linear",
            **own,
        )
        self.skip = None
        if self.irreps_in != self.irreps_out:
            shared = Irreps(
                [
                    (mul, irrep)
                    for mul, irrep in self.irreps_out
                    if self.irreps_in.count(irrep)
                ]
            )
            self.skip = EquivariantLinear(
                self.irreps_in, shared, use_bias=False, name="skip", **own
            )

    def build(self, *shapes):
        self.linear.build()
        if self.skip is not None:
            self.skip.build()

    def call(self, atoms, messages, species):
        if self.skip is not None:
            kept = self._place(self.skip.call(atoms))
        else:
            kept = atoms
        return kept + self.linear.call(messages, species)

    def compute_output_shape(self, atoms_shape):
        return (atoms_shape[0], self.irreps_out.dim)

    def _place(self, kept):
        """Fills the irreps that the atoms did not have before with zeros."""
        shared = self.skip.irreps_out
        pieces = []
        slices = iter(shared.slices())
        for mul, irrep in self.irreps_out:
            if shared.count(irrep):
                pieces.append(kept[:, next(slices)])
            else:
                shape = (backend.shape(kept)[0], mul * irrep.dim)
                pieces.append(backend.zeros(shape, dtype=kept.dtype))
        return backend.concatenate(pieces, axis=-1)
