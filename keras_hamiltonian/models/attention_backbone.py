"""Backbones of blocks with attention."""

import keras

from keras_hamiltonian.models.composite_layer import CompositeLayer


class AttentionBackbone(CompositeLayer):
    """A backbone whose `blocks` have attention, which can be looked at.

    A subclass calls `visit(block, arguments)`, where given, before each block.
    """

    @property
    def has_attention(self):
        """Whether all blocks can say how they weigh neighbours."""
        return all(
            hasattr(block.attention, "attention_weights")
            for block in self.blocks
        )

    def attention_weights(self, inputs):
        """How each head of each block weighs the edges of every atom.

        Args:
            inputs: dict of arrays, the inputs of the stage.

        Returns:
            Dict from the name of a block to its `(N, M, num_heads)` array, and
            the `(N, M)` array that multiplies them all in the sums over
            neighbours.

        Raises:
            ValueError: if a block has no attention.
        """
        if not self.has_attention:
            kind = type(self.blocks[0].attention).__name__
            raise ValueError(
                f"There are no attention weights: the {kind} of the blocks "
                "has none (attention=False, or a layer of your own)."
            )
        inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
        found = {}

        def visit(block, arguments):
            weights = block.attention_weights(**arguments)
            found[block.name] = keras.ops.convert_to_numpy(weights)

        features = self.call(inputs, visit=visit)
        factor = self.attention_factor(inputs, features)
        return found, keras.ops.convert_to_numpy(factor)
