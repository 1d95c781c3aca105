"""Calculations, and files, splits and batches of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calculation": ["Calculation"],
        "dataset": ["batch_inputs", "batch_weights", "HamiltonianDataset"],
        "splits": [
            "composition_groups",
            "ordered_split",
            "random_split",
            "Split",
        ],
        "store": ["HamiltonianStore", "is_store"],
    },
)
