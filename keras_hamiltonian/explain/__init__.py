"""What a predicted block rests on: influence of atoms, edges and features."""

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
        "EnvironmentMap": "environments",
        "Environments": "environments",
        "explain_block": "block_report",
        "explain_stages": "stage_report",
        "Influence": "influence",
        "KindTarget": "targets",
        "largest_change": "displacement",
        "repeats_for": "targets",
        "saliency": "influence",
        "stage_corrections": "corrections",
        "use_tensorflow": "requirements",
    },
)
