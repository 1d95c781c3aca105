"""`keras-hamiltonian dos`: density of states."""

import pathlib
from typing import Annotated
from typing import Literal

import typer

from keras_hamiltonian.cli import spectrum
from keras_hamiltonian.cli.bands import check_window
from keras_hamiltonian.cli.bands import targets
from keras_hamiltonian.cli.files import one_structure
from keras_hamiltonian.files import appearing

POINTS_PER_WIDTH = 4


def dos(
    path: spectrum.Input,
    model: spectrum.Model = None,
    name: spectrum.Name = None,
    grid: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="N N N",
            help="Wave vectors along each direction, 1 along vacuum. Default: "
            "30 Å over the height of the cell, which is coarse.",
        ),
    ] = None,
    window: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="LOW HIGH", help="Energies, eV about the Fermi level."
        ),
    ] = (-6.0, 6.0),
    broadening: Annotated[
        float,
        typer.Option(
            metavar="EV", help="Standard deviation of the Gaussians, eV."
        ),
    ] = 0.1,
    method: Annotated[
        Literal["gaussian", "tetrahedron"],
        typer.Option(
            help="tetrahedron: bands are linear between the wave vectors, and "
            "nothing is broadened."
        ),
    ] = "gaussian",
    projected: Annotated[
        bool, typer.Option(help="Also by element and shell.")
    ] = True,
    electrons: spectrum.Electrons = None,
    fermi_level: spectrum.FermiLevel = None,
    workers: spectrum.Workers = 1,
    output: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Numbers, .json or .npz; the picture lies beside it as .png. "
            "Default: <name>.dos.json.",
        ),
    ] = None,
    overwrite: spectrum.Overwrite = False,
):
    """Density of states of a calculation or of a prediction.

    \b
      keras-hamiltonian dos graphene.scfout --grid 24 24 1
      keras-hamiltonian dos new.cif --model model.keras --broadening 0.05

    Electrons per eV and cell, both spins together. Fermi level and gap are
    printed in eV. Cells of more than 8000 orbitals take the sparse solver.
    """
    import numpy as np

    from keras_hamiltonian.physics import k_grid

    check_window(window)
    if not broadening > 0:
        raise typer.BadParameter(
            f"is positive, in eV. Received: {broadening:g}.",
            param_hint="--broadening",
        )
    structure = one_structure(path, name)
    output, picture = targets(output, structure.name, "dos", overwrite)
    crystal, _ = spectrum.open_crystal(
        structure, model, electrons, fermi_level, workers
    )
    level = spectrum.known_level(crystal)
    step = broadening / POINTS_PER_WIDTH
    number = int(np.ceil((window[1] - window[0]) / step)) + 1
    grid = k_grid(crystal.atoms) if grid is None else grid
    density = crystal.dos(
        grid,
        projected,
        energies=level + np.linspace(*window, number),
        broadening=broadening,
        method=method,
    )
    with appearing(output, picture) as (numbers, drawing):
        density.save(numbers)
        _plot(density, drawing, structure.name)
    typer.echo(f"Grid: {' x '.join(map(str, grid))}")
    typer.echo(f"Fermi level: {level:.4f} eV")
    _print_gap(crystal, grid)
    typer.echo(f"{output}, {picture}")


def _print_gap(crystal, grid):
    from keras_hamiltonian.physics.hamiltonian import LARGEST_DENSE

    if crystal.size > LARGEST_DENSE:
        typer.echo("Gap: see `keras-hamiltonian bands`; the cell is large.")
        return
    try:
        gap = crystal.gap(grid)
    except ValueError as error:
        typer.echo(f"Gap on this grid: unknown. {error}")
    else:
        spectrum.print_gap(gap, "on this grid")


def _plot(density, path, title):
    from matplotlib.figure import Figure

    energies = density.energies - density.fermi_level
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0.0, color="black", linewidth=0.7, linestyle=(0, (1, 2)))
    axes.plot(
        energies, density.total, color="black", linewidth=1.4, label="all"
    )
    for name, values in density.projections.items():
        axes.plot(energies, values, linewidth=1.1, label=name)
    axes.set_xlim(energies[0], energies[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(r"$E - E_\mathrm{F}$ (eV)")
    axes.set_ylabel("electrons per eV and cell")
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=200)
