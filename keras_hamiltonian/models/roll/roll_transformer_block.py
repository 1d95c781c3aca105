"""One block of the exactly symmetric Transformer."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.attention.edge_attention import EdgeAttention
from keras_hamiltonian.layers.attention.roll_network import RollNetwork
from keras_hamiltonian.layers.convolution.edge_ends import EdgeEnds
from keras_hamiltonian.layers.convolution.tracegrad import invariant_shapes
from keras_hamiltonian.layers.convolution.tracegrad import make_mixing
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.layers.norms.edge_norm import EdgeNorm
from keras_hamiltonian.layers.norms.equivariant_norm import EquivariantNorm
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.ops.roll import roll_kinds


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RollTransformerBlock(Layer):
    """Edges pass a roll network, and atoms attend to them.

    Args:
        irreps_in: list of str. `EdgeIrreps` of the edge features that enter
            beside the block's own state.
        channels: int. Channels of each kind of the edge state.
        irreps: str. Irreps of the atom state.
        mmax: int. Largest kind.
        num_species: int. Elements in the basis.
        hidden: int. Width of the roll network.
        num_heads: int. Heads of the attention.
        is_first: bool. Whether there is no state yet.
        radial_size: int. Numbers per edge from `RadialFeatures`.
        attention: layer or factory in place of `EdgeAttention`, with its call;
            see `make_part`.
        tracegrad: str. See `InteractionGroup`; it acts on the new state.

    Call arguments:
        features: list of edge features, as `irreps_in` says.
        geometry: dict of `"wigner"`, `"envelope"`, `"radial"`, `"species"`
            and `"reverse_edge"`.
        state: dict from the block before, or `None` for the first.

    Output: the new state, a dict of `"atoms"` `(N, dim)` and the edge features
        `"edges"`, both as sums of what the blocks gave; `"normed_atoms"` and
        `"normed_edges"`; and the normalised atoms at both ends of each edge,
        `"center"` and `"neighbor"`; with `tracegrad` also its invariants, see
        `InteractionGroup`.

    Example:

    >>> layer = RollTransformerBlock(
    ...     ["6x0+ + 2x1"], 8, "4x0e + 2x1o", 1, 1, is_first=True
    ... )
    >>> edges = {
    ...     "0+": keras.ops.ones((2, 3, 1, 6)),
    ...     "1": keras.ops.ones((2, 3, 2, 2)),
    ... }
    >>> geometry = {
    ...     "wigner": [keras.ops.ones((2, 3, d, d)) for d in (1, 3)],
    ...     "envelope": keras.ops.ones((2, 3)),
    ...     "radial": keras.ops.ones((2, 3, 64)),
    ...     "species": keras.ops.convert_to_tensor([0, 0]),
    ...     "reverse_edge": keras.ops.convert_to_tensor([[0, 1, 2], [3, 4, 5]]),
    ... }
    >>> state = layer([edges], geometry)
    >>> tuple(state["atoms"].shape), tuple(state["edges"]["1"].shape)
    ((2, 10), (2, 3, 2, 8))
    """

    def __init__(
        self,
        irreps_in,
        channels,
        irreps,
        mmax,
        num_species,
        hidden=96,
        num_heads=4,
        is_first=False,
        radial_size=64,
        attention=None,
        tracegrad=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_in = [EdgeIrreps(i) for i in irreps_in]
        self.channels = channels
        self.irreps_out = Irreps(irreps).regrouped()
        self.mmax = mmax
        self.num_species = num_species
        self.hidden = hidden
        self.num_heads = num_heads
        self.is_first = is_first
        self.radial_size = radial_size
        self.tracegrad = tracegrad
        kinds = roll_kinds(mmax)
        self.irreps_edges = EdgeIrreps(dict.fromkeys(kinds, channels))
        own = {"dtype": self.dtype_policy}
        irreps = str(self.irreps_out)
        state = [] if is_first else [self.irreps_edges, irreps, irreps]
        self.edge_norm = EdgeNorm(name="edge_norm", **own)
        self.network = RollNetwork(
            [*self.irreps_in, *state],
            channels,
            hidden,
            mmax,
            radial_size,
            name="network",
            **own,
        )
        self.attention = make_part(
            attention,
            EdgeAttention,
            irreps_in=str(self.irreps_edges),
            irreps_out=irreps,
            num_heads=num_heads,
            name="attention",
            **own,
        )
        self.atom_linear = EquivariantLinear(
            irreps, irreps, num_species, name="atom_linear", **own
        )
        self.atom_norm = EquivariantNorm(irreps, name="atom_norm", **own)
        self.edge_ends = EdgeEnds(irreps, name="edge_ends", **own)
        self.mixing = make_mixing(tracegrad, irreps, self.irreps_edges, **own)

    def build(self, *shapes):
        for layer in (
            self.edge_norm,
            self.network,
            self.attention,
            self.atom_linear,
            self.atom_norm,
            self.edge_ends,
            *self.mixing.values(),
        ):
            layer.build()

    def call(self, features, geometry, state=None):
        wigner, species = geometry["wigner"], geometry["species"]
        edges, edge_invariants = self._edges(features, geometry, state)
        normed_edges = self.edge_norm.call(edges)
        sums = self.attention.call(normed_edges, geometry["envelope"], wigner)
        atoms = self.atom_linear.call(sums, species)
        if not self.is_first:
            atoms = atoms + state["atoms"]
        invariants = {}
        if self.mixing:
            atoms, found = self.mixing["atoms"].call(atoms)
            invariants["atom_invariants"] = found
            invariants["edge_invariants"] = edge_invariants
        normed_atoms = self.atom_norm.call(atoms)
        ends = self.edge_ends.call(
            normed_atoms, wigner, geometry["reverse_edge"]
        )
        return {
            "atoms": atoms,
            "edges": edges,
            "normed_atoms": normed_atoms,
            "normed_edges": normed_edges,
            **ends,
            **invariants,
        }

    def attention_weights(self, features, geometry, state=None):
        """Weights of the neighbours, with the arguments of the call.

        Returns:
            `(N, M, num_heads)`, see `EdgeAttention`.
        """
        edges, _ = self._edges(features, geometry, state)
        return self.attention.attention_weights(
            self.edge_norm.call(edges), geometry["envelope"]
        )

    def compute_output_shape(
        self, features_shape, geometry_shape, state_shape=None
    ):
        leading = tuple(geometry_shape["radial"][:2])
        ends = EdgeIrreps(self.irreps_out).shapes(leading)
        atoms = (leading[0], self.irreps_out.dim)
        edges = self.irreps_edges.shapes(leading)
        return {
            "atoms": atoms,
            "edges": edges,
            "normed_atoms": atoms,
            "normed_edges": dict(edges),
            "center": ends,
            "neighbor": dict(ends),
            **invariant_shapes(self.mixing, leading),
        }

    def _edges(self, features, geometry, state):
        """The new edge state, and its invariants."""
        inputs = list(features)
        if not self.is_first:
            names = ("normed_edges", "center", "neighbor")
            inputs += [state[name] for name in names]
        edges = self.network.call(inputs, geometry["radial"])
        if not self.is_first:
            edges = {k: x + state["edges"][k] for k, x in edges.items()}
        if self.mixing:
            return self.mixing["edges"].call(edges)
        return edges, None
