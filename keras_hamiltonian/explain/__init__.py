"""What a predicted block depends on: atoms, edges, features, attention."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["attention_maps", "AttentionMaps"],
        "block_report": ["explain_block"],
        "corrections": ["Corrections", "stage_corrections"],
        "displacement": ["block_jacobian", "Displacement", "largest_change"],
        "environments": ["EnvironmentMap", "Environments"],
        "feature_map": ["activation_map"],
        "influence": ["Influence", "saliency"],
        "requirements": ["use_tensorflow"],
        "stage_report": ["explain_stages"],
        "targets": ["BlockTarget", "KindTarget", "repeats_for"],
    },
)
