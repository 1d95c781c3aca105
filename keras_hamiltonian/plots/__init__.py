"""Pictures of bands, errors, trainings, and of what a prediction rests on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": [
            "plot_attention_by_angle",
            "plot_attention_by_distance",
            "plot_attention_map",
        ],
        "bands": ["plot_bands"],
        "blocks": ["plot_block_errors", "plot_improved_blocks"],
        "conductivity": ["plot_conductivity"],
        "corrections": ["plot_corrections"],
        "costs": ["plot_costs"],
        "dos": ["plot_dos"],
        "elements": ["plot_elements"],
        "environments": ["plot_environment_map", "plot_novelty"],
        "errors": [
            "plot_equivariance",
            "plot_errors_by_distance",
            "plot_errors_by_energy",
            "plot_errors_by_structure",
        ],
        "influence": [
            "plot_degree_shares",
            "plot_displacement",
            "plot_influence_by_distance",
            "plot_influence_map",
        ],
        "learning_curve": ["plot_learning_curve"],
    },
)
