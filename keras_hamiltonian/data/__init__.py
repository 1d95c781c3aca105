"""Calculations, and files, splits and batches of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batch": [
            "batch_blocks",
            "batch_inputs",
            "batch_matrices",
            "batch_weights",
        ],
        "calculation": ["Calculation"],
        "dataset": ["HamiltonianDataset"],
        "groups": ["groups_by"],
        "joined_store": ["JoinedStore"],
        "splits": [
            "join_splits",
            "ordered_split",
            "random_split",
            "Split",
        ],
        "store": ["HamiltonianStore", "is_store"],
    },
)
