"""What a predicted block rests on: influence of atoms, bonds and features."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BlockTarget": "targets",
        "Displacement": "displacement",
        "Influence": "influence",
        "KindTarget": "targets",
        "block_jacobian": "displacement",
        "activation_map": "feature_map",
        "largest_change": "displacement",
        "repeats_for": "targets",
        "saliency": "influence",
    },
)
