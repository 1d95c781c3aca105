"""Kohn-Sham Hamiltonians of crystals from equivariant networks in Keras 3."""

import lazy_loader

from keras_hamiltonian import keras_setup

__version__ = "0.1.0"

keras_setup.set_default_backend()
keras_setup.quiet_tensorflow()

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "callbacks",
        "conventions",
        "data",
        "evaluation",
        "explain",
        "files",
        "irreps",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "optimizers",
        "orbitals",
        "parallel",
        "physics",
        "plots",
        "selection",
        "strategy",
        "structures",
        "superposition",
        "testing",
        "training",
        "uncertainty",
    ],
    submod_attrs={
        "calculator": ["HamiltonianCalculator"],
        "data.calculation": ["Calculation"],
        "data.dataset": ["HamiltonianDataset"],
        "data.store": ["HamiltonianStore"],
        "electronic_structure": ["ElectronicStructure"],
        "evaluation.evaluate": ["evaluate"],
        "models.loading": ["load_model"],
        "orbitals.basis": ["OrbitalBasis"],
        "orbitals.block_matrix": ["BlockMatrix"],
        "prediction": ["predict", "Prediction"],
        "streaming": ["stream_prediction"],
        "superposition.zeroth_step": ["ZerothStep"],
        "training.run": ["train"],
    },
)

keras_setup.register_classes()
