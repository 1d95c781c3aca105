"""What an edge makes of its two atoms."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeTransition(Layer):
    """Residual update of edges: `e + Dense(SiLU(LN(Dense[n_i | e | n_j])))`.

    The first dense layer is a sum of three, so that those of the atoms run
    once per atom and not once per edge.

    Call arguments:
        atoms: `(N, D)`.
        edges: `(N, M, D)`.
        neighbors: `(N, M)` int.

    Output shape: `(N, M, D)`.

    Example:

    >>> atoms, edges = keras.ops.ones((2, 8)), keras.ops.ones((2, 5, 8))
    >>> neighbors = keras.ops.zeros((2, 5), "int32")
    >>> tuple(EdgeTransition()(atoms, edges, neighbors).shape)
    (2, 5, 8)

    Reference: Yin et al., arXiv 2401.00744, equation 5.
    """

    def build(self, atoms_shape, edges_shape, neighbors_shape=None):
        size, given = atoms_shape[-1], edges_shape[-1]
        stddev = (2 * size + given) ** -0.5
        self.center = self._kernel("center", (size, given), stddev)
        self.neighbor = self._kernel("neighbor", (size, given), stddev)
        self.edge = self._kernel("edge", (given, given), stddev)
        self.scale = self.add_weight(
            shape=(given,), initializer="ones", name="scale"
        )
        self.shift = self.add_weight(
            shape=(given,), initializer="zeros", name="shift"
        )
        self.readout = self._kernel("readout", (given, given), given**-0.5)

    def call(self, atoms, edges, neighbors):
        center = backend.dense(atoms, self.center.value)
        neighbor = backend.dense(atoms, self.neighbor.value)
        hidden = (
            backend.dense(edges, self.edge.value)
            + center[:, None]
            + backend.take(neighbor, neighbors, axis=0)
        )
        hidden = backend.layer_normalize(hidden, 1e-5)
        hidden = backend.silu(hidden * self.scale.value + self.shift.value)
        return edges + backend.dense(hidden, self.readout.value)

    def compute_output_shape(self, atoms_shape, edges_shape, neighbors_shape):
        return tuple(edges_shape)

    def _kernel(self, name, shape, stddev):
        initializer = Normal(stddev=stddev)
        return self.add_weight(shape=shape, initializer=initializer, name=name)
