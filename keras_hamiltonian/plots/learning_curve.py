"""Picture of a training."""

import numpy as np

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import TRAINING_COLOR
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import use_log_scale


def plot_learning_curve(history, path, title=None):
    """Draws the error of training and validation against time.

    Args:
        history: dict of lists of equal length: `"mae"` or `"loss"` in eV, and
            `"val_mae"` or `"val_loss"` if there is a validation set; `None`
            where an epoch has no value. `"cpu_seconds"` is the horizontal
            axis; without it the epochs are. `"stage"`, a list of str: a
            vertical line marks each change.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if the history has no error.
    """
    training = history.get("mae", history.get("loss"))
    validation = history.get("val_mae", history.get("val_loss"))
    if not (training or validation):
        raise ValueError(
            'A history has the list "mae" or "loss". Received the keys '
            f"{sorted(history)}."
        )
    times = history.get("cpu_seconds")
    count = len(training or validation)
    horizontal = np.arange(1, count + 1) if times is None else np.array(times)
    figure, axes = new_axes(5.4, 3.6)
    for values, name, color in (
        (training, "training", TRAINING_COLOR),
        (validation, "validation", PREDICTED_COLOR),
    ):
        if values:
            errors = MEV_PER_EV * np.array(values, dtype=np.float64)
            # Epochs without validation do not interrupt the line.
            known = np.isfinite(errors)
            axes.plot(
                horizontal[known],
                errors[known],
                color=color,
                lw=1.6,
                label=name,
            )
    if validation:
        best = int(np.nanargmin(errors))
        # The number is in the legend, where it crosses no line.
        axes.plot(
            horizontal[best],
            errors[best],
            "o",
            color=PREDICTED_COLOR,
            markersize=5,
            label=f"best, {errors[best]:.3g} meV",
        )
    _mark_stages(axes, horizontal, history.get("stage", ()))
    use_log_scale(axes)
    axes.margins(x=0.02)
    axes.set_xlabel("epoch" if times is None else "CPU time (s)")
    axes.set_ylabel("mean absolute error (meV)")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path)


def _mark_stages(axes, horizontal, stages):
    """A line between two stages, with the name of the later one."""
    for k, (before, after) in enumerate(zip(stages, stages[1:]), start=1):
        if before != after:
            place = horizontal[k - 1]
            axes.axvline(place, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.annotate(
                f"{after} stage",
                (place, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -9),
                textcoords="offset points",
                fontsize=9,
                color=INK,
            )
