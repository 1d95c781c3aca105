"""A layer made of layers."""

import keras

from keras_hamiltonian.layers.layer import Layer


class CompositeLayer(Layer):
    """A layer whose `call` calls other layers, and so runs symbolically too.

    A subclass makes its layers in the constructor and calls them, not their
    `call`, so that they are built and their shapes follow by themselves.
    """

    def __call__(self, *args, **kwargs):
        return _sorted(super().__call__(*args, **kwargs))

    def compute_output_spec(self, *args, **kwargs):
        # New tensors: those of the inner graph belong to its layers.
        return keras.tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, x.dtype),
            _sorted(self.call(*args, **kwargs)),
        )


def _sorted(structure):
    """The same with the keys of all dicts in order.

    Keras 3.15 on torch tells the tensors of dicts in dicts apart by their
    position, and gives symbolic ones another order than `call` does.
    """
    if isinstance(structure, dict):
        return {key: _sorted(structure[key]) for key in sorted(structure)}
    if isinstance(structure, list):
        return [_sorted(item) for item in structure]
    return structure
