"""Traces of the blocks from invariants of the features."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.normed_dense import NormedDense
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.orbitals.basis import OrbitalBasis


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class TraceHead(Layer):
    """Predicts how large the block of each pair of shells is.

    Only training looks at the result (see `TraceLoss`): a signal for the
    invariants from which the features of all groups are made.

    Args:
        basis: dict. Shells of each element.
        hidden: int. Width of the networks.

    Call arguments:
        atoms: list of `(N, invariants)`, of each group.
        edges: list of `(N, M, invariants)`.

    Output: a dict of `"onsite_traces"` `(N, pairs)` and `"hopping_traces"`
        `(N, M, pairs)`, the pairs of table shells, rows outer; each atom and
        edge in units of the scatter of its own traces.

    Example:

    >>> layer = TraceHead({"C": "2s 2p 1d"})
    >>> atoms, edges = keras.ops.ones((3, 8)), keras.ops.ones((3, 4, 8))
    >>> found = layer([atoms, atoms], [edges, edges])
    >>> tuple(found["hopping_traces"].shape)
    (3, 4, 25)

    Reference: TraceGrad, Yin et al., arXiv 2405.05722.
    """

    def __init__(self, basis, hidden=64, **kwargs):
        super().__init__(**kwargs)
        self.basis = OrbitalBasis(basis)
        self.hidden = hidden
        self.num_pairs = len(self.basis.table_shells) ** 2
        own = {"dtype": self.dtype_policy}
        self.networks = {
            name: [
                NormedDense(hidden, "silu", name=f"{name}_hidden", **own),
                NormedDense(self.num_pairs, name=f"{name}_traces", **own),
            ]
            for name in ("onsite", "hopping")
        }

    def build(self, atoms_shape, edges_shape):
        for name, shapes in (("onsite", atoms_shape), ("hopping", edges_shape)):
            first, second = self.networks[name]
            first.build((sum(shape[-1] for shape in shapes),))
            second.build((self.hidden,))

    def call(self, atoms, edges):
        found = {}
        for name, invariants in (("onsite", atoms), ("hopping", edges)):
            x = join_channels(invariants)
            for layer in self.networks[name]:
                x = layer.call(x)
            found[f"{name}_traces"] = x
        return found

    def compute_output_shape(self, atoms_shape, edges_shape):
        return {
            "onsite_traces": (*atoms_shape[0][:-1], self.num_pairs),
            "hopping_traces": (*edges_shape[0][:-1], self.num_pairs),
        }
