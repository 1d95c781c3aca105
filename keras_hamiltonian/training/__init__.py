"""Residual training: one stage after the other, and what came of it."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "TrainedModel": "cascade",
        "TrainingSettings": "settings",
        "report_training": "report",
        "train_cascade": "cascade",
    },
)
