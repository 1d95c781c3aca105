"""What all stages share: their inputs and how they are saved."""

import keras

from keras_hamiltonian.orbitals.basis import OrbitalBasis


def graph_inputs(dtype="float32"):
    """Symbolic inputs of a stage: the batch of `HamiltonianDataset`.

    Args:
        dtype: str. Float type of vectors and masks.

    Returns:
        Dict of `keras.Input`: `species` `(N,)`, `edge_vectors` `(N, M, 3)`
        (Å), `neighbors`, `reverse_edge`, `edge_mask` `(N, M)`, `structure`
        `(N,)`.
    """
    return {
        "species": keras.Input((), dtype="int32", name="species"),
        "edge_vectors": keras.Input(
            (None, 3), dtype=dtype, name="edge_vectors"
        ),
        "neighbors": keras.Input((None,), dtype="int32", name="neighbors"),
        "reverse_edge": keras.Input(
            (None,), dtype="int32", name="reverse_edge"
        ),
        "edge_mask": keras.Input((None,), dtype=dtype, name="edge_mask"),
        "structure": keras.Input((), dtype="int32", name="structure"),
    }


class Stage(keras.Model):
    """A functional model of blocks, saved by its constructor's arguments.

    A subclass builds the graph, calls `super().__init__(inputs, outputs)` and
    then sets `self.arguments`, a dict of JSON values.
    """

    @property
    def basis(self):
        """The `OrbitalBasis` of the blocks."""
        return OrbitalBasis(self.arguments["basis"])

    def get_config(self):
        return {"name": self.name, **self.arguments}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
