"""Invariant features of atoms: distances and angles of their neighbours."""

import keras
import numpy as np

from keras_hamiltonian.layers.geometry.species_pairs import pair_index
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend

# How close two distances are for one neighbour to stand beside the other.
CLOSENESS_IN_ANGSTROM = 0.1
NUM_LEGENDRE = 4


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class AngleFeatures(Layer):
    """Sums a network of pairs of neighbours that are alike in distance.

    The method sums over pairs (j, m) that are adjacent in a list of neighbours
    sorted by distance,

        c_i = Σ MLP[a_i | a_j | a_m | b_ij | b_im | g(d_ij) | g(d_im) | cosθ],

    a, b being embeddings of elements and of pairs, g Gaussians. In an ideal
    crystal many distances are equal, so the order, and with it the sum, would
    hang on the last digit of a number; in others it would jump where two
    distances cross. Here the neighbour beside j is a mean over all others with
    the weights `1 / (1 + (d_ij - d_im)² / σ²)²`, normalised, σ = 0.1 Å: the
    next one where distances differ, the mean of all where they tie. So c_i is
    smooth, does not depend on any order and does not change when the crystal
    rotates. Cosines enter as Legendre polynomials to degree 4: the mean of the
    cosine alone says little of a whole shell. The network still runs once
    per neighbour; only the weights are a number for each pair.

    Args:
        units: int. Size of the output.
        num_species: int. Elements in the basis.
        reach: float. Å, position of the last Gaussian.
        hidden_units: int. Size of the network's hidden layer.
        num_gaussians: int.
        num_neighbors: float. Typical number of neighbours; the sum is divided
            by its root.

    Call arguments:
        edge_vectors: `(N, M, 3)`, Å.
        lengths: `(N, M)`, Å.
        envelope: `(N, M)`. Zero at padding and at the reach.
        species: `(N,)` int.
        neighbors: `(N, M)` int.

    Output shape: `(N, units)`.

    Example:

    >>> layer = AngleFeatures(8, num_species=1, reach=6.0)
    >>> ones, index = keras.ops.ones((2, 5)), keras.ops.zeros((2, 5), "int32")
    >>> vectors = keras.ops.ones((2, 5, 3))
    >>> tuple(layer(vectors, ones, ones, index[:, 0], index).shape)
    (2, 8)

    Reference: Yin et al., arXiv 2401.00744, invariant features.
    """

    def __init__(
        self,
        units,
        num_species,
        reach,
        hidden_units=64,
        num_gaussians=32,
        num_neighbors=20.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.num_species = num_species
        self.reach = reach
        self.hidden_units = hidden_units
        self.num_gaussians = num_gaussians
        self.num_neighbors = num_neighbors

    def build(self, *shapes):
        hidden, pairs = self.hidden_units, self.num_species**2
        # An embedding before a dense layer is a table of the layer's size;
        # the table of pairs holds those of both elements.
        self.own_pair = self._weight("own_pair", (pairs, hidden), 0.3)
        self.other_pair = self._weight("other_pair", (pairs, hidden), 0.3)
        size = (self.num_gaussians, hidden)
        # About two Gaussians are non-zero at a time.
        self.own_radial = self._weight("own_radial", size, 0.7)
        self.other_radial = self._weight("other_radial", size, 0.7)
        self.angular = self._weight("angular", (NUM_LEGENDRE, hidden), 0.7)
        self.readout = self._weight(
            "readout", (hidden, self.units), hidden**-0.5
        )

    def call(self, edge_vectors, lengths, envelope, species, neighbors):
        beside = self._beside(lengths, envelope)
        pairs = pair_index(species, neighbors, self.num_species)
        gaussians = self._gaussians(lengths)
        own, other = (
            backend.take(table.value, pairs, axis=0)
            + backend.dense(gaussians, kernel.value)
            for table, kernel in (
                (self.own_pair, self.own_radial),
                (self.other_pair, self.other_radial),
            )
        )
        angles = _mean_legendre(edge_vectors / lengths[..., None], beside)
        angles = backend.dense(angles, self.angular.value)
        hidden = backend.silu(own + beside @ other + angles)
        total = backend.sum(hidden * envelope[..., None], axis=1)
        total = total * self.num_neighbors**-0.5
        return backend.dense(total, self.readout.value)

    def compute_output_shape(self, edge_vectors_shape):
        return (edge_vectors_shape[0], self.units)

    def _weight(self, name, shape, stddev):
        initializer = Normal(stddev=stddev)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def _beside(self, lengths, envelope):
        """Weight of m as the one beside j: `(N, M, M)`, rows sum to one."""
        scaled = (lengths[:, :, None] - lengths[:, None, :]) * (
            1 / CLOSENESS_IN_ANGSTROM
        )
        inverse = 1 + scaled * scaled
        others = 1 - keras.ops.eye(
            backend.shape(lengths)[1], dtype=lengths.dtype
        )
        weight = others * envelope[:, None, :] / (inverse * inverse)
        return weight / (backend.sum(weight, axis=-1, keepdims=True) + 1e-6)

    def _gaussians(self, lengths):
        centers = np.linspace(0, self.reach, self.num_gaussians)
        width = float(centers[1] - centers[0])
        centers = backend.constant(centers, lengths)
        scaled = (lengths[..., None] - centers) * (1 / width)
        return backend.exp(-0.5 * scaled * scaled)


def _mean_legendre(directions, weights):
    """Weighted means of Legendre polynomials of the cosines: `(N, M, 4)`."""
    cosines = directions @ backend.swapaxes(directions, 1, 2)
    before, now = backend.ones_like(cosines), cosines
    means = []
    for degree in range(1, NUM_LEGENDRE + 1):
        means.append(backend.sum(weights * now, axis=-1))
        after = (2 * degree + 1) * cosines * now - degree * before
        before, now = now, after * (1 / (degree + 1))
    return backend.stack(means, axis=-1)
