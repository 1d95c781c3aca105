"""Kohn-Sham Hamiltonians of crystals from equivariant networks in Keras 3."""

from keras_hamiltonian import keras_setup
from keras_hamiltonian.lazy import lazy_names

__version__ = "0.1.0"

keras_setup.set_default_backend()

_find, __dir__ = lazy_names(
    __name__,
    {
        "BlockMatrix": "orbitals.block_matrix",
        "Calculation": "data.calculation",
        "HamiltonianDataset": "data.dataset",
        "HamiltonianStore": "data.store",
        "OrbitalBasis": "orbitals.basis",
        "Prediction": "prediction",
        "evaluate": "evaluation.evaluate",
        "load_model": "models.loading",
        "predict": "prediction",
        "train": "training.run",
    },
    modules=(
        "callbacks",
        "conventions",
        "data",
        "evaluation",
        "explain",
        "irreps",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "orbitals",
        "physics",
        "structures",
        "testing",
        "training",
    ),
)


def __getattr__(name):
    value = _find(name)
    keras_setup.register_classes()
    return value


keras_setup.register_classes()
