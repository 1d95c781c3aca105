"""Picture of a density of states."""

from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes
from keras_hamiltonian.plots.style import plain


def plot_dos(density, path, title=None):
    """Draws a density of states, its standard error and its projections.

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
    if density.errors is not None:
        low, high = (density.total + s * density.errors for s in (-1, 1))
        axes.fill_between(energies, low, high, color=INK, alpha=0.25)
    for name, values in density.projections.items():
        axes.plot(energies, values, linewidth=1.1, label=plain(name))
    axes.set_xlim(energies[0], energies[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(r"$E - E_\mathrm{F}$ (eV)")
    axes.set_ylabel("electrons per eV and cell")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path, is_boxed=True)
