"""Pictures of bands, errors, trainings, and of what a prediction rests on."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "plot_attention_by_angle": "attention",
        "plot_attention_by_distance": "attention",
        "plot_attention_map": "attention",
        "plot_bands": "bands",
        "plot_block_errors": "blocks",
        "plot_corrections": "corrections",
        "plot_costs": "costs",
        "plot_degree_shares": "influence",
        "plot_displacement": "influence",
        "plot_dos": "dos",
        "plot_environment_map": "environments",
        "plot_equivariance": "errors",
        "plot_errors_by_distance": "errors",
        "plot_errors_by_energy": "errors",
        "plot_errors_by_structure": "errors",
        "plot_improved_blocks": "blocks",
        "plot_influence_by_distance": "influence",
        "plot_influence_map": "influence",
        "plot_learning_curve": "learning_curve",
        "plot_novelty": "environments",
    },
)
