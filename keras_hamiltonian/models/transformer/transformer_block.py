"""One block of the graph Transformer."""

import keras

from keras_hamiltonian.layers.attention.neighbor_attention import (
    NeighborAttention,
)
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.normed_dense import NormedDense
from keras_hamiltonian.layers.parts import make_part
from keras_hamiltonian.models.transformer.edge_transition import EdgeTransition
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TransformerBlock(Layer):
    """Takes in features of the first stage, then updates atoms and edges.

        ñ_i = n_i + α Dense(f_i) + γ c_i,  ẽ_ij = e_ij + β Dense(f_ij)
        n_i = FC(LN(ñ_i + attention)),     e_ij = ẽ_ij + EdgeTransition

    Args:
        alpha, beta, gamma: float. Weights of the features of atoms, those of
            edges and the invariant ones; with 0 they are left out.
        num_heads: int. Heads of the attention.
        attention: layer or factory in place of `NeighborAttention`, with its
            call; see `make_part`.

    Call arguments:
        atoms: `(N, D)`.
        edges: `(N, M, D)`.
        known: dict of `"atoms"` `(N, size)` and `"edges"` `(N, M, size)` from
            `CrystalFeatures` and `"angles"` `(N, D)` from `AngleFeatures`;
            what is missing is left out.
        graph: dict of `"neighbors"`, `"envelope"` and `"edge_mask"`, `(N, M)`.

    Output: a dict of `"atoms"` and `"edges"`.

    Example:

    >>> atoms, edges = keras.ops.ones((2, 8)), keras.ops.ones((2, 5, 8))
    >>> envelope = keras.ops.ones((2, 5))
    >>> neighbors = keras.ops.zeros((2, 5), "int32")
    >>> graph = {
    ...     "neighbors": neighbors,
    ...     "envelope": envelope,
    ...     "edge_mask": envelope,
    ... }
    >>> block = TransformerBlock()
    >>> updated = block(atoms, edges, {"angles": atoms}, graph)
    >>> tuple(updated["edges"].shape)
    (2, 5, 8)

    Reference: Yin et al., arXiv 2401.00744, equations 1 and 3 to 5.
    """

    def __init__(
        self,
        alpha=0.5,
        beta=0.5,
        gamma=0.5,
        num_heads=4,
        attention=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.num_heads = num_heads
        self.kernels = {}
        own = {"dtype": self.dtype_policy}
        self.attention = make_part(
            attention,
            NeighborAttention,
            num_heads=num_heads,
            name="attention",
            **own,
        )
        self.transition = EdgeTransition(name="edge_transition", **own)

    def build(
        self, atoms_shape, edges_shape, known_shape=None, graph_shape=None
    ):
        size = atoms_shape[-1]
        # Keras leaves out the shape of an empty dict.
        known_shape = known_shape or {}
        for name, weight in (("atoms", self.alpha), ("edges", self.beta)):
            if weight and name in known_shape:
                given = known_shape[name][-1]
                self.kernels[name] = self.add_weight(
                    shape=(given, size),
                    initializer=keras.initializers.LecunNormal(),
                    name=f"{name}_kernel",
                )
        self.dense = NormedDense(
            size, "silu", dtype=self.dtype_policy, name="dense"
        )
        self.dense.build(atoms_shape)
        neighbors = graph_shape["neighbors"]
        self.attention.build(
            atoms_shape,
            edges_shape,
            neighbors,
            graph_shape["envelope"],
            graph_shape["edge_mask"],
        )
        self.transition.build(atoms_shape, edges_shape, neighbors)

    def call(self, atoms, edges, known, graph):
        # `call` instead of `__call__`: the checks of Keras take as long as
        # the products, and this layer has been through them.
        atoms, edges = self._taken_in(atoms, edges, known)
        messages = self.attention.call(atoms, edges, **graph)
        atoms = self.dense.call(atoms + messages)
        edges = self.transition.call(atoms, edges, graph["neighbors"])
        return {"atoms": atoms, "edges": edges}

    def attention_weights(self, atoms, edges, known, graph):
        """Weights of the neighbours, with the arguments of the call.

        Returns:
            `(N, M, num_heads)`, see `NeighborAttention`.
        """
        atoms, edges = self._taken_in(atoms, edges, known)
        return self.attention.attention_weights(atoms, edges, **graph)

    def compute_output_shape(self, atoms_shape, edges_shape):
        return {"atoms": tuple(atoms_shape), "edges": tuple(edges_shape)}

    def _taken_in(self, atoms, edges, known):
        atoms = self._joined(atoms, known, "atoms", self.alpha)
        edges = self._joined(edges, known, "edges", self.beta)
        if self.gamma and "angles" in known:
            atoms = atoms + self.gamma * known["angles"]
        return atoms, edges

    def _joined(self, x, known, name, weight):
        kernel = self.kernels.get(name)
        if kernel is None:
            return x
        return x + weight * backend.dense(known[name], kernel.value)
