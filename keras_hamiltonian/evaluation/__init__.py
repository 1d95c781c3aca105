"""Errors of a model, and reports of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calibration": ["fit_error_estimate"],
        "cost": ["growing_cells", "prediction_costs"],
        "equivariance": ["averaged_equivariance_error", "equivariance_error"],
        "expectation": ["ExpectationErrors"],
        "machine": ["machine_kind"],
        "overlap_threshold": ["choose_overlap_threshold"],
        "page": ["write_page"],
        "report": [
            "compare_bands",
            "evaluate_bands",
            "summary",
            "write_report",
        ],
        "spectrum": ["SpectrumErrors"],
    },
)
