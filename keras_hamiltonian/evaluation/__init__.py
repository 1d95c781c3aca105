"""How good a model is: numbers and pictures."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "averaged_equivariance_error": "equivariance",
        "choose_overlap_threshold": "overlap_threshold",
        "compare_bands": "report",
        "equivariance_error": "equivariance",
        "growing_cells": "cost",
        "machine_kind": "machine",
        "plot_bands": "plots",
        "plot_block_errors": "plots",
        "plot_equivariance": "plots",
        "plot_learning_curve": "plots",
        "prediction_costs": "cost",
        "SpectrumErrors": "spectrum",
        "summary": "report",
        "write_page": "page",
        "write_report": "report",
    },
)
