"""Attention of an atom over its neighbours."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class NeighborAttention(Layer):
    """Multi-head attention of each atom over its own neighbours.

    The atom asks; keys and values are made of [edge | neighbour]. Values
    vanish smoothly at the reach of the edge. An atom without neighbours
    receives zero.

    Args:
        num_heads: int. Heads; their sizes add up to that of the atoms.

    Call arguments:
        atoms: `(N, D)`.
        edges: `(N, M, D)`.
        neighbors: `(N, M)` int.
        envelope: `(N, M)`. Zero at padding and at the reach.
        edge_mask: `(N, M)`.

    Output shape: `(N, D)`.
    Raises: `ValueError` if the heads do not divide the size.

    Example:

    >>> atoms, edges = keras.ops.ones((2, 8)), keras.ops.ones((2, 5, 8))
    >>> neighbors = keras.ops.zeros((2, 5), "int32")
    >>> alone = keras.ops.zeros((2, 5))
    >>> messages = NeighborAttention()(atoms, edges, neighbors, alone, alone)
    >>> bool(keras.ops.all(messages == 0))
    True

    Reference: Yin et al., arXiv 2401.00744, equations 3 and 4.
    """

    def __init__(self, num_heads=4, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(
        self,
        atoms_shape,
        edges_shape,
        neighbors_shape=None,
        envelope_shape=None,
        edge_mask_shape=None,
    ):
        size = atoms_shape[-1]
        given = (*edges_shape[:2], size + edges_shape[-1])
        if size % self.num_heads:
            raise ValueError(
                "Heads share the features of an atom equally. Received: "
                f"{size} features and num_heads={self.num_heads}. Choose "
                "numbers of which one divides the other."
            )
        # A bias of the keys would change all scores of an atom alike.
        self.heads = keras.layers.MultiHeadAttention(
            self.num_heads,
            size // self.num_heads,
            use_bias=False,
            dtype=self.dtype_policy,
            name="heads",
        )
        self.heads.build((atoms_shape[0], 1, size), given, given)

    def call(self, atoms, edges, neighbors, envelope, edge_mask):
        given = edges_and_neighbors(atoms, edges, neighbors)
        mask, alone = _softmax_mask(edge_mask)
        messages = self.heads.call(
            atoms[:, None],
            given * envelope[..., None],
            given,
            attention_mask=mask,
        )
        return messages[:, 0] * (1 - alone)

    def attention_weights(self, atoms, edges, neighbors, envelope, edge_mask):
        """Weights of the neighbours, with the arguments of the call.

        Values carry the envelope besides: an atom receives
        `weights * envelope`.

        Returns:
            `(N, M, num_heads)`: zero at padding, with sum one over the
            neighbours of an atom that has any.
        """
        given = edges_and_neighbors(atoms, edges, neighbors)
        mask, alone = _softmax_mask(edge_mask)
        _, scores = self.heads.call(
            atoms[:, None],
            given * envelope[..., None],
            given,
            attention_mask=mask,
            return_attention_scores=True,
        )
        return keras.ops.transpose(scores[:, :, 0], (0, 2, 1)) * (
            1 - alone[..., None]
        )

    def compute_output_shape(self, atoms_shape):
        return tuple(atoms_shape)


def edges_and_neighbors(atoms, edges, neighbors):
    """[edge | neighbour], `(N, M, 2 D)`."""
    return join_channels([edges, backend.take(atoms, neighbors, axis=0)])


def _softmax_mask(edge_mask):
    """The mask `(N, 1, M)` of the softmax, and which atoms are alone."""
    count = backend.sum(edge_mask, axis=1, keepdims=True)
    alone = backend.cast(backend.equal(count, 0), edge_mask.dtype)
    # Where all is masked the softmax is not defined.
    return keras.ops.greater(edge_mask + alone, 0)[:, None], alone
