"""What all layers of this package share."""

import keras

from keras_hamiltonian.layers.parts import recorded_arguments

# What Keras' own layer takes and keeps.
OF_KERAS = ("name", "dtype", "trainable", "autocast", "activity_regularizer")


class Layer(keras.layers.Layer):
    """A layer whose arguments are recorded for its configuration.

    So no argument is spelled a second time, or forgotten. Without weights
    there is nothing to build; `build` of a layer whose weights do not depend
    on its inputs takes no shapes.
    """

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls, *args, **kwargs)
        arguments = {}
        if cls.__init__ is not keras.layers.Layer.__init__:
            arguments = recorded_arguments(cls, args, kwargs, OF_KERAS)
        # Keras would wrap the dict if it saw it.
        object.__setattr__(layer, "arguments", arguments)
        return layer

    def build(self, *shapes, **named_shapes):
        self.built = True

    def get_config(self):
        return {**self.arguments, **super().get_config()}
