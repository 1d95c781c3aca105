"""Settings of `kh.train`, and what it is made of."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "TrainingSettings": "settings",
    },
)
