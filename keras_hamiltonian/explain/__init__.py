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
        "plot_attention_by_angle": "attention_plots",
        "plot_attention_by_distance": "attention_plots",
        "plot_attention_map": "attention_plots",
        "plot_corrections": "correction_plots",
        "plot_degree_shares": "influence_plots",
        "plot_displacement": "influence_plots",
        "plot_environment_map": "environment_plots",
        "plot_influence_by_distance": "influence_plots",
        "plot_influence_map": "influence_plots",
        "plot_novelty": "environment_plots",
        "repeats_for": "targets",
        "saliency": "influence",
        "stage_corrections": "corrections",
        "use_tensorflow": "requirements",
    },
)
