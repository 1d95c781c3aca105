"""One random rotation for each crystal."""

import keras

from keras_hamiltonian.conventions import INITIAL_BLOCKS
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.rotate_blocks import rotate_blocks
from keras_hamiltonian.orbitals.basis import OrbitalBasis


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RandomRotation(Layer):
    """Draws rotations uniformly (Haar measure) while training, else none.

    Inside a model it gives the matrices. Outside, `transform_batch` rotates
    batches with their labels, for models that are to see rotated crystals;
    `kh.models.RotatedDataset` does so with a whole data set.

    Args:
        basis: dict. Shells of each element; needed to rotate blocks only.
        spin: str. Spin layout of the blocks.
        seed: int. Seed of the draws.

    Call arguments:
        structure: `(N,)` int, which crystal an atom belongs to.

    Output shape: `(N, 3, 3)`, for each atom the matrix of its crystal; the
        identity outside training.

    Example:

    >>> layer = RandomRotation(seed=0)
    >>> matrices = layer(keras.ops.array([0, 0, 1]), training=True)
    >>> bool(keras.ops.all(matrices[0] == matrices[1]))
    True
    """

    def __init__(self, basis=None, spin="none", seed=None, **kwargs):
        super().__init__(**kwargs)
        self.basis = None if basis is None else OrbitalBasis(basis)
        self.spin = spin
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, structure, training=None):
        if training:
            return self.draw(structure)
        rows = keras.ops.eye(3, dtype=self.compute_dtype)
        shape = (backend.shape(structure)[0], 3, 3)
        return backend.broadcast_to(rows, shape)

    def draw(self, structure):
        """Draws rotations, whether training or not.

        Args:
            structure: `(N,)` int. There are at least as many atoms as
                crystals, padding among them.

        Returns:
            `(N, 3, 3)` tensor.
        """
        # A draw for every atom, of which those with the numbers of the
        # crystals are taken: a static shape.
        shape = (backend.shape(structure)[0], 4)
        drawn = keras.random.normal(
            shape, dtype=self.compute_dtype, seed=self.generator
        )
        return quaternion_matrices(backend.take(drawn, structure, axis=0))

    def transform_vectors(self, vectors, rotations):
        """Rotates vectors, such as `edge_vectors` `(N, M, 3)`."""
        # Not a matrix product: an edge and its reverse stay exact opposites.
        columns = [rotations[:, None, :, k] for k in range(3)]
        x, y, z = (vectors[..., k, None] for k in range(3))
        return x * columns[0] + y * columns[1] + z * columns[2]

    def transform_blocks(self, blocks, rotations):
        """Rotates blocks, onsite `(N, ...)` or hopping `(N, M, ...)`.

        Raises:
            ValueError: if the layer has no `basis`.
        """
        if self.basis is None:
            raise ValueError(
                "How blocks rotate depends on their shells. Received: "
                "basis=None. Make the layer with the `basis` of the blocks."
            )
        shells = self.basis.table_shells
        return rotate_blocks(blocks, rotations, shells, self.spin)

    def transform_batch(self, batch, training=True):
        """Rotates each crystal of a batch with its labels, by its own draw.

        Args:
            batch: `(inputs, targets, weights)`, `(inputs, targets)` or
                `(inputs,)` of tensors or arrays, an item of
                `HamiltonianDataset`.
            training: bool. If false, the batch is returned as it is.

        Returns:
            Tuple of the same length. Indices, masks and weights are those
            of `batch`.
        """
        if not training:
            return batch
        structure = keras.ops.convert_to_tensor(batch[0]["structure"])
        return self.rotate_batch(batch, self.draw(structure))

    def rotate_batch(self, batch, rotations):
        """Rotates the crystals of a batch, and their labels.

        Args:
            batch: see `transform_batch`.
            rotations: `(N, 3, 3)` tensor or array, for each atom the matrix
                of its crystal.

        Returns:
            Tuple of the same length.
        """
        inputs, *labels = batch

        def tensor(x):
            return keras.ops.convert_to_tensor(x, dtype=self.compute_dtype)

        vectors = tensor(inputs["edge_vectors"])
        rotations = tensor(rotations)
        vectors = self.transform_vectors(vectors, rotations)

        def rotated(blocks):
            return {
                name: self.transform_blocks(tensor(x), rotations)
                for name, x in blocks.items()
            }

        initial = {k: x for k, x in inputs.items() if k in INITIAL_BLOCKS}
        inputs = {**inputs, "edge_vectors": vectors, **rotated(initial)}
        if not labels:
            return (inputs,)
        targets, *rest = labels
        return (inputs, rotated(targets), *rest)

    def compute_output_shape(self, structure_shape):
        return (structure_shape[0], 3, 3)

    def compute_output_spec(self, structure, training=None):
        shape = self.compute_output_shape(structure.shape)
        return keras.KerasTensor(shape, self.compute_dtype)


def quaternion_matrices(quaternions):
    """Rotations of quaternions of any length but zero.

    Args:
        quaternions: `(..., 4)` tensor.

    Returns:
        `(..., 3, 3)` tensor of proper rotations.
    """
    squared = backend.sum(quaternions * quaternions, axis=-1, keepdims=True)
    unit = quaternions * backend.rsqrt(squared)
    a, b, c, d = (unit[..., k] for k in range(4))
    rows = [
        [1 - 2 * (c * c + d * d), 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), 1 - 2 * (b * b + d * d), 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), 1 - 2 * (b * b + c * c)],
    ]
    return backend.stack([backend.stack(row, axis=-1) for row in rows], axis=-2)
