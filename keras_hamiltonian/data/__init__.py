"""Calculations: in files, in splits, and in batches."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Calculation": "calculation",
        "HamiltonianDataset": "dataset",
        "HamiltonianStore": "store",
        "Split": "splits",
        "batch_inputs": "batch",
        "batch_matrices": "batch",
        "batch_targets": "batch",
        "batch_weights": "batch",
        "composition_groups": "splits",
        "is_store": "store",
        "ordered_split": "splits",
        "random_split": "splits",
    },
)
