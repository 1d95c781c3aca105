"""Picture of an optical conductivity."""

from keras_hamiltonian.plots.style import DOTTED
from keras_hamiltonian.plots.style import INK
from keras_hamiltonian.plots.style import finish_axes
from keras_hamiltonian.plots.style import new_axes

# What a sheet of Dirac electrons absorbs, πα.
PI_ALPHA = 0.0229253


def plot_conductivity(conductivity, path, title=None):
    """Draws the absorption of a layer, or the conductivity of a crystal.

    Args:
        conductivity: `OpticalConductivity`.
        path: str or path. The file, PNG, SVG or PDF by its suffix.
        title: str.
    """
    energies = conductivity.energies
    figure, axes = new_axes(5.4, 3.6)
    if conductivity.height is not None:
        axes.axhline(
            100 * PI_ALPHA,
            color=INK,
            linewidth=0.7,
            linestyle=DOTTED,
            label="πα",
        )
        axes.plot(energies, 100 * conductivity.absorption, color=INK)
        axes.set_ylabel("absorption at normal incidence (%)")
    else:
        for axis, name in enumerate("xyz"):
            values = conductivity.tensor[:, axis, axis] / 1e5
            axes.plot(energies, values, linewidth=1.2, label=2 * name)
        axes.set_ylabel(r"Re $\sigma$ ($10^5$ S/m)")
    axes.set_xlim(energies[0], energies[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("photon energy (eV)")
    axes.legend(frameon=False)
    finish_axes(figure, axes, title, path, is_boxed=True)
