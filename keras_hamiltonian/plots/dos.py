"""Picture of a density of states."""

from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain


def plot_dos(density, path, title=None):
    """Draws a density of states and its projections, with standard errors.

    What random vectors gave may be negative; it is drawn as it is.

    Args:
        density: `DensityOfStates` with a Fermi level, which is the zero.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.

    Raises:
        ValueError: if the Fermi level is not known.
    """
    if density.fermi_level is None:
        raise ValueError("Set `fermi_level` of the density: it is the zero.")
    energies = density.energies - density.fermi_level
    figure, axes = new_axes(5.4, 3.6)
    axes.axvline(0.0, color=INK, linewidth=0.7, linestyle=DOTTED)
    axes.plot(energies, density.total, color=INK, linewidth=1.4, label="all")
    _shade(axes, energies, density.total, density.errors, INK)
    for name, values in density.projections.items():
        (line,) = axes.plot(energies, values, linewidth=1.1, label=plain(name))
        errors = density.projection_errors.get(name)
        _shade(axes, energies, values, errors, line.get_color())
    axes.set_xlim(energies[0], energies[-1])
    if density.errors is None:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(r"$E - E_\mathrm{F}$ (eV)")
    axes.set_ylabel("electrons per eV and cell")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path, is_boxed=True)


def _shade(axes, energies, values, errors, color):
    if errors is not None:
        low, high = values - errors, values + errors
        axes.fill_between(
            energies, low, high, color=color, alpha=0.25, linewidth=0
        )
