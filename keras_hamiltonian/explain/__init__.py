"""What a predicted block rests on: influence of atoms, bonds and features."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {},
)
