"""Picture of the cost of predictions."""

from matplotlib.figure import Figure

from keras_hamiltonian.plots.style import PREDICTED_COLOR
from keras_hamiltonian.plots.style import draw_grid
from keras_hamiltonian.plots.style import save_figure
from keras_hamiltonian.plots.style import style_axes


def plot_costs(costs, path):
    """Draws time and memory of a prediction against the number of atoms.

    Args:
        costs: list of dicts, of `prediction_costs`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.

    Raises:
        ValueError: if nothing was measured.
    """
    if not costs:
        raise ValueError("No prediction was measured.")
    sizes = [entry["num_atoms"] for entry in costs]
    panels = [("CPU time (s)", "cpu_seconds")]
    if all(entry["peak_megabytes"] is not None for entry in costs):
        panels.append(("peak memory (MB)", "peak_megabytes"))
    figure = Figure(figsize=(3.1 * len(panels), 3.0), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, field) in zip(grid, panels):
        values = [entry[field] for entry in costs]
        axes.plot(sizes, values, "o-", ms=5, color=PREDICTED_COLOR)
        axes.set_xlabel("atoms")
        axes.set_ylabel(label)
        axes.set_xlim(0, 1.08 * max(sizes))
        axes.set_ylim(0, 1.1 * max(max(values), 1e-6))
        draw_grid(axes)
        style_axes(axes)
    save_figure(figure, path)
