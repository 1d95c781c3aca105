"""Residual training: one stage after the other, and what came of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cascade": ["train_cascade", "TrainedModel"],
        "report": ["report_training"],
        "settings": ["TrainingSettings"],
    },
)
