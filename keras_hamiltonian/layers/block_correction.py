"""Blocks that correct those of a first stage."""

import keras

from keras_hamiltonian.irreps.edge import edge_kinds
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.hermitian_average import HermitianAverage
from keras_hamiltonian.layers.hopping_readout import HoppingReadout
from keras_hamiltonian.layers.onsite_readout import OnsiteReadout
from keras_hamiltonian.ops.edges import join_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BlockCorrection(keras.layers.Layer):
    """Linear readout of several features, zero until it is trained.

    Args:
        basis: dict. Shells of each element.
        irreps: list of str. Irreps of each atom feature.
        irreps_edges: list of str. Irreps whose channels each edge feature has.
        spin: str. Spin layout of the blocks.

    Call arguments:
        atoms: list of `(N, dim)`, `ir_mul` layout.
        edges: list of edge features.
        known: dict from `TwoCentreBaseline`, fitted to what is to be
            corrected.
        wigner: list of tensors from `EdgeGeometry`.
        species: `(N,)` int.
        reverse_edge: `(N, M)` int.

    Output: a dict of `"onsite"` and `"hopping"`, Hermitian, eV.

    Example, a crystal of one atom with two neighbours, one s shell:

    >>> layer = BlockCorrection({"H": "1s"}, ["4x0e"], ["4x0e + 2x1o"])
    >>> known = {
    ...     "onsite_mean": {"scalar": keras.ops.zeros((1, 1))},
    ...     "onsite_scale": {"scalar": keras.ops.ones((1, 1))},
    ...     "hopping_mean": {"scalar": keras.ops.zeros((1, 2, 1))},
    ...     "hopping_scale": {"scalar": keras.ops.ones((1, 2, 1))},
    ... }
    >>> edges = {
    ...     "0+": keras.ops.ones((1, 2, 1, 6)),
    ...     "1": keras.ops.ones((1, 2, 2, 2)),
    ... }
    >>> blocks = layer(
    ...     [keras.ops.ones((1, 4))],
    ...     [edges],
    ...     known,
    ...     [keras.ops.ones((1, 2, 3, 3))],
    ...     keras.ops.convert_to_tensor([0]),
    ...     keras.ops.convert_to_tensor([[1, 0]]),
    ... )
    >>> {name: tuple(x.shape) for name, x in blocks.items()}
    {'onsite': (1, 1, 1), 'hopping': (1, 2, 1, 1)}
    """

    def __init__(self, basis, irreps, irreps_edges, spin="none", **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = [Irreps(i) for i in irreps]
        self.irreps_edges = [Irreps(i) for i in irreps_edges]
        own = {"gain": 0.0, "dtype": self.dtype_policy}
        self.hopping = HoppingReadout(
            basis,
            "+".join(str(i) for i in self.irreps_edges),
            spin,
            name="hopping",
            **own,
        )
        self.onsite = OnsiteReadout(
            basis,
            "+".join(str(i) for i in self.irreps_in),
            spin,
            name="onsite",
            **own,
        )
        self.average = HermitianAverage(
            spin, dtype=self.dtype_policy, name="average"
        )

    def build(
        self,
        atoms_shape=None,
        edges_shape=None,
        known_shape=None,
        wigner_shape=None,
        species_shape=None,
        reverse_edge_shape=None,
    ):
        self.hopping.build()
        self.onsite.build()
        # Keras would run the model symbolically before every step if not.
        self.average.build(None, None, None)

    def call(self, atoms, edges, known, wigner, species, reverse_edge):
        joined = {}
        for kind in edge_kinds(99):
            pieces = [b[kind] for b in edges if kind in b]
            if pieces:
                joined[kind] = join_channels(pieces)
        hopping = self.hopping.call(
            joined, known["hopping_mean"], known["hopping_scale"], wigner
        )
        onsite = self.onsite.call(
            join_channels(atoms),
            species,
            known["onsite_mean"],
            known["onsite_scale"],
        )
        return self.average.call(onsite, hopping, reverse_edge)

    def compute_output_shape(
        self,
        atoms_shape,
        edges_shape,
        known_shape,
        wigner_shape,
        species_shape,
        reverse_edge_shape,
    ):
        onsite = self.onsite.compute_output_shape(
            atoms_shape[0], species_shape, None, None
        )
        hopping = self.hopping.compute_output_shape(
            edges_shape[0], None, None, wigner_shape
        )
        return {"onsite": onsite, "hopping": hopping}

    def get_config(self):
        layout = self.hopping.layout
        return {
            **super().get_config(),
            "basis": layout.basis.to_dict(),
            "irreps": [str(i) for i in self.irreps_in],
            "irreps_edges": [str(i) for i in self.irreps_edges],
            "spin": layout.spin,
        }
