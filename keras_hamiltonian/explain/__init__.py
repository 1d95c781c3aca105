"""What a predicted block rests on: influence of atoms, bonds and features."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "activation_map": "feature_map",
        "attention_maps": "attention",
        "AttentionMaps": "attention",
        "block_jacobian": "displacement",
        "BlockTarget": "targets",
        "Corrections": "corrections",
        "Displacement": "displacement",
        "Influence": "influence",
        "KindTarget": "targets",
        "largest_change": "displacement",
        "repeats_for": "targets",
        "saliency": "influence",
        "stage_corrections": "corrections",
    },
)
