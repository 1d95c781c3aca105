"""One group of stage one as a Transformer has it: attention, feed-forward."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.attention.edge_attention import EdgeAttention
from keras_hamiltonian.layers.convolution.atom_update import AtomUpdate
from keras_hamiltonian.layers.convolution.edge_ends import EdgeEnds
from keras_hamiltonian.layers.convolution.edge_update import EdgeUpdate
from keras_hamiltonian.layers.convolution.equivariant_convolution import (
    EquivariantConvolution,
)
from keras_hamiltonian.layers.convolution.tracegrad import invariant_shapes
from keras_hamiltonian.layers.convolution.tracegrad import make_mixing
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.feed_forward import FeedForward
from keras_hamiltonian.layers.norms.edge_norm import EdgeNorm
from keras_hamiltonian.layers.norms.equivariant_norm import EquivariantNorm
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class AttentionGroup(Layer):
    """Atoms attend to their edges and edges keep what was said.

    The group of NextHAM's network, in place of `InteractionGroup`: one gated
    convolution of [both atoms | edge] makes the messages, which depend on the
    length of the edge, and the scores are made of them. Atoms receive the
    messages weighted by `EdgeAttention`, then pass a feed-forward network, both
    residual and on normalised features. Edges receive the message times its
    score, before the softmax.

    Of atoms that are scalars, as they are before the first group, an edge
    learns scalars only, so a stage needs two groups.

    Args:
        irreps_atoms: str. Irreps of the atoms before.
        irreps_edges: str. `EdgeIrreps` of the edges before.
        irreps_out: str. Irreps of the atoms after; the edges get those into
            which they split.
        num_species: int. Elements in the basis.
        radial_size: int. Numbers per edge from `RadialFeatures`.
        num_heads: int. Heads of the attention.
        tracegrad, dropout, edge_dropout: see `InteractionGroup`.

    Call arguments:
        state: dict of `"atoms"` `(N, irreps_atoms.dim)`, `ir_mul` layout, and
            `"edges"`, edge features.
        geometry: dict of `"wigner"`, `"envelope"`, `"radial"`, `"species"`
            and `"reverse_edge"`, see `EquivariantBackbone`.

    Output: the new state, a dict of `"atoms"` and `"edges"`, with `tracegrad`
        also the invariants that `InteractionGroup` gives.
    Raises: `ValueError` if the heads do not divide the channels of the edges.

    Example:

    >>> layer = AttentionGroup("4x0e", "4x0+", "4x0e + 4x1o", 2, 6)
    >>> state = {
    ...     "atoms": keras.ops.ones((2, 4)),
    ...     "edges": {"0+": keras.ops.ones((2, 1, 1, 4))},
    ... }
    >>> geometry = {
    ...     "wigner": [keras.ops.ones((2, 1, d, d)) for d in (1, 3)],
    ...     "envelope": keras.ops.ones((2, 1)),
    ...     "radial": keras.ops.ones((2, 1, 6)),
    ...     "species": keras.ops.convert_to_tensor([0, 1]),
    ...     "reverse_edge": keras.ops.convert_to_tensor([[1], [0]]),
    ... }
    >>> tuple(layer(state, geometry)["atoms"].shape)
    (2, 16)

    Reference: NextHAM, Yin et al., arXiv 2509.19877, after Equiformer, Liao &
        Smidt, arXiv 2206.11990. The products with spherical harmonics are
        those of `EquivariantConvolution`; the softmax is smooth where an edge
        ends.
    """

    def __init__(
        self,
        irreps_atoms,
        irreps_edges,
        irreps_out,
        num_species,
        radial_size=64,
        num_heads=4,
        tracegrad=None,
        dropout=0.0,
        edge_dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_atoms = Irreps(irreps_atoms)
        self.irreps_edges = EdgeIrreps(irreps_edges)
        self.irreps_out = Irreps(irreps_out)
        self.num_species = num_species
        self.radial_size = radial_size
        self.num_heads = num_heads
        self.tracegrad = tracegrad
        self.dropout = dropout
        self.edge_dropout = edge_dropout
        before, edges = str(self.irreps_atoms), str(self.irreps_edges)
        after, new_edges = str(self.irreps_out), EdgeIrreps(self.irreps_out)
        own = {"dtype": self.dtype_policy}
        self.atom_norm = EquivariantNorm(before, name="atom_norm", **own)
        self.edge_norm = EdgeNorm(name="edge_norm", **own)
        self.edge_ends = EdgeEnds(before, name="edge_ends", **own)
        ends = EdgeIrreps(self.irreps_atoms)
        self.convolution = EquivariantConvolution(
            [ends, ends, edges],
            after,
            radial_size,
            dropout,
            name="convolution",
            **own,
        )
        self.attention = EdgeAttention(
            {k: new_edges[k] for k in self.convolution.kinds},
            after,
            num_heads,
            edge_dropout,
            name="attention",
            **own,
        )
        self.atom_update = AtomUpdate(
            before, after, after, num_species, name="atom_update", **own
        )
        self.feed_norm = EquivariantNorm(after, name="feed_norm", **own)
        self.feed_forward = FeedForward(after, name="feed_forward", **own)
        self.edge_update = EdgeUpdate(
            edges, new_edges, name="edge_update", **own
        )
        self.mixing = make_mixing(tracegrad, after, new_edges, **own)

    def build(self, *shapes):
        for layer in (
            self.atom_norm,
            self.edge_norm,
            self.edge_ends,
            self.convolution,
            self.attention,
            self.atom_update,
            self.feed_norm,
            self.feed_forward,
            self.edge_update,
            *self.mixing.values(),
        ):
            layer.build()

    def call(self, state, geometry, training=None):
        atoms, edges = state["atoms"], state["edges"]
        wigner = geometry["wigner"]
        ends = self.edge_ends.call(
            self.atom_norm.call(atoms), wigner, geometry["reverse_edge"]
        )
        messages = self.convolution.call(
            [ends["center"], ends["neighbor"], self.edge_norm.call(edges)],
            geometry["radial"],
            training,
        )
        sums = self.attention.call(
            messages, geometry["envelope"], wigner, training
        )
        atoms = self.atom_update.call(atoms, sums, geometry["species"])
        atoms = atoms + self.feed_forward.call(self.feed_norm.call(atoms))
        scores = self.attention.scores(messages)
        edges = self.edge_update.call(
            edges, self.attention.weighted(messages, scores)
        )
        edges = self._filled(edges)
        if not self.mixing:
            return {"atoms": atoms, "edges": edges}
        found = {}
        atoms, found["atom_invariants"] = self.mixing["atoms"].call(atoms)
        edges, found["edge_invariants"] = self.mixing["edges"].call(edges)
        return {"atoms": atoms, "edges": edges, **found}

    def compute_output_shape(self, state_shape, geometry_shape):
        leading = tuple(geometry_shape["radial"][:2])
        return {
            "atoms": (state_shape["atoms"][0], self.irreps_out.dim),
            "edges": EdgeIrreps(self.irreps_out).shapes(leading),
            **invariant_shapes(self.mixing, leading),
        }

    def _filled(self, edges):
        """Zeros for the kinds that nothing reached, in the usual order."""
        some = edges["0+"]
        shapes = EdgeIrreps(self.irreps_out).shapes(backend.shape(some)[:2])
        return {
            kind: edges[kind]
            if kind in edges
            else backend.zeros(shape, dtype=some.dtype)
            for kind, shape in shapes.items()
        }
