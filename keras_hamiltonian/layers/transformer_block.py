"""One block of the graph Transformer."""

import keras

from keras_hamiltonian.layers.bond_transition import BondTransition
from keras_hamiltonian.layers.neighbor_attention import NeighborAttention
from keras_hamiltonian.layers.normed_dense import NormedDense
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TransformerBlock(keras.layers.Layer):
    """Takes in features of the first stage; atoms hear bonds, bonds atoms.

        ñ_i = n_i + α Dense(f_i) + γ c_i,  ẽ_ij = e_ij + β Dense(f_ij)
        n_i = FC(LN(ñ_i + attention)),     e_ij = ẽ_ij + BondTransition

    Args:
        alpha, beta, gamma: float. Weights of the features of atoms, those of
            bonds and the invariant ones; with 0 they are left out.
        num_heads: int. Heads of the attention.
        attention: bool. See `NeighborAttention`.

    Call arguments:
        atoms: `(N, D)`.
        bonds: `(N, M, D)`.
        known: dict of `"atoms"` `(N, size)` and `"bonds"` `(N, M, size)` from
            `CrystalFeatures` and `"angles"` `(N, D)` from `AngleFeatures`;
            what is missing is left out.
        graph: dict of `"neighbors"`, `"fade"` and `"edge_mask"`, `(N, M)`.

    Output: a dict of `"atoms"` and `"bonds"`.

    Example:

    >>> atoms, bonds = keras.ops.ones((2, 8)), keras.ops.ones((2, 5, 8))
    >>> fade = keras.ops.ones((2, 5))
    >>> neighbors = keras.ops.zeros((2, 5), "int32")
    >>> graph = {"neighbors": neighbors, "fade": fade, "edge_mask": fade}
    >>> block = TransformerBlock()
    >>> updated = block(atoms, bonds, {"angles": atoms}, graph)
    >>> tuple(updated["bonds"].shape)
    (2, 5, 8)

    Reference: Yin et al., arXiv 2401.00744, equations 1 and 3 to 5.
    """

    def __init__(
        self,
        alpha=0.5,
        beta=0.5,
        gamma=0.5,
        num_heads=4,
        attention=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.num_heads = num_heads
        self.attention = attention
        self.kernels = {}
        own = {"dtype": self.dtype_policy}
        self.heard = NeighborAttention(
            num_heads, attention, name="neighbor_attention", **own
        )
        self.transition = BondTransition(name="bond_transition", **own)

    def build(
        self, atoms_shape, bonds_shape, known_shape=None, graph_shape=None
    ):
        size = atoms_shape[-1]
        # Keras leaves out the shape of an empty dict.
        known_shape = known_shape or {}
        for name, weight in (("atoms", self.alpha), ("bonds", self.beta)):
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
        self.heard.build(atoms_shape, bonds_shape, neighbors)
        self.transition.build(atoms_shape, bonds_shape, neighbors)

    def call(self, atoms, bonds, known, graph):
        # `call` instead of `__call__`: the checks of Keras take as long as
        # the products, and this layer has been through them.
        atoms, bonds = self._taken_in(atoms, bonds, known)
        heard = self.heard.call(atoms, bonds, **graph)
        atoms = self.dense.call(atoms + heard)
        bonds = self.transition.call(atoms, bonds, graph["neighbors"])
        return {"atoms": atoms, "bonds": bonds}

    def attention_weights(self, atoms, bonds, known, graph):
        """Weights of the neighbours, with the arguments of the call.

        Returns:
            `(N, M, num_heads)`, see `NeighborAttention`.
        """
        atoms, bonds = self._taken_in(atoms, bonds, known)
        return self.heard.attention_weights(atoms, bonds, **graph)

    def compute_output_shape(
        self, atoms_shape, bonds_shape, known_shape=None, graph_shape=None
    ):
        return {"atoms": tuple(atoms_shape), "bonds": tuple(bonds_shape)}

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "gamma": self.gamma,
            "num_heads": self.num_heads,
            "attention": self.attention,
        }

    def _taken_in(self, atoms, bonds, known):
        atoms = self._joined(atoms, known, "atoms", self.alpha)
        bonds = self._joined(bonds, known, "bonds", self.beta)
        if self.gamma and "angles" in known:
            atoms = atoms + self.gamma * known["angles"]
        return atoms, bonds

    def _joined(self, x, known, name, weight):
        kernel = self.kernels.get(name)
        if kernel is None:
            return x
        return x + weight * backend.dense(known[name], kernel.value)
