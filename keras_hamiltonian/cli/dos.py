"""`keras-hamiltonian dos`: density of states."""

from typing import Annotated
from typing import Literal

import typer

from keras_hamiltonian.cli import spectrum
from keras_hamiltonian.cli.cluster import on_cluster
from keras_hamiltonian.cli.files import one_structure
from keras_hamiltonian.files import replacing

POINTS_PER_WIDTH = 4


@on_cluster
@spectrum.with_species
def dos(
    path: spectrum.Input,
    model: spectrum.Model = None,
    initial: spectrum.Initial = None,
    species=None,
    device: spectrum.Device = None,
    dtype: spectrum.Dtype = None,
    name: spectrum.Name = None,
    grid: spectrum.Grid = None,
    window: spectrum.Window = (-6.0, 6.0),
    broadening: spectrum.Broadening = 0.1,
    method: Annotated[
        Literal["gaussian", "tetrahedron", "kpm"],
        typer.Option(
            help="tetrahedron: bands are linear between the wave vectors, and "
            "nothing is broadened. kpm: Chebyshev moments of random vectors, "
            "for cells of any size, with statistical errors."
        ),
    ] = "gaussian",
    vectors: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Random vectors of --method kpm; errors fall with the root "
            "of their number. Default: 12.",
        ),
    ] = None,
    projected: Annotated[
        bool, typer.Option(help="Also by element and shell.")
    ] = True,
    electrons: spectrum.Electrons = None,
    fermi_level: spectrum.FermiLevel = None,
    workers: spectrum.Workers = 1,
    memory: spectrum.Memory = None,
    output: spectrum.output("dos") = None,
    overwrite: spectrum.Overwrite = False,
):
    """Density of states of a calculation or of a prediction.

    \b
      keras-hamiltonian dos graphene.scfout --grid 24 24 1
      keras-hamiltonian dos new.cif --model model.keras --broadening 0.05

    Electrons per eV and cell, both spins together. Fermi level and gap are
    printed in eV. For cells of more than 8000 orbitals take --method kpm; the
    others solve for the states of the window there, which may be too many.
    """
    import numpy as np

    from keras_hamiltonian import plots
    from keras_hamiltonian.physics import k_grid

    spectrum.check_window(window)
    spectrum.check_level(electrons, fermi_level)
    if vectors is not None and method != "kpm":
        raise typer.BadParameter(
            f"belongs to --method kpm. Received with --method {method}.",
            param_hint="--vectors",
        )
    if not broadening > 0:
        raise typer.BadParameter(
            f"is positive, in eV. Received: {broadening:g}.",
            param_hint="--broadening",
        )
    structure = one_structure(path, name)
    output, picture = spectrum.targets(output, structure.name, "dos", overwrite)
    crystal, _, warnings = spectrum.open_crystal(
        structure,
        model,
        electrons,
        fermi_level,
        workers,
        initial,
        species,
        device=device,
        dtype=dtype,
        max_memory=memory,
    )
    level = spectrum.known_level(crystal)
    step = broadening / POINTS_PER_WIDTH
    number = int(np.ceil((window[1] - window[0]) / step)) + 1
    grid = k_grid(crystal.atoms) if grid is None else grid
    options = {} if vectors is None else {"num_vectors": vectors}
    density = crystal.dos(
        grid,
        projected,
        energies=level + np.linspace(*window, number),
        broadening=broadening,
        method=method,
        **options,
    )
    with replacing(output) as numbers, replacing(picture) as drawing:
        density.save(numbers, warnings)
        plots.plot_dos(density, drawing, structure.name)
    typer.echo(f"Grid: {' x '.join(map(str, grid))}")
    typer.echo(f"Fermi level: {level:.4f} eV")
    if density.errors is not None:
        _print_errors(density)
    if method != "kpm":
        _print_gap(crystal, grid)
    typer.echo(f"{output}, {picture}")


def _print_errors(density):
    """Standard errors of random vectors, in shares of each mean."""
    share = density.errors.mean() / density.total.mean()
    typer.echo(f"Standard error of the density: {share:.1%} of its mean")
    shares = [
        f"{name} {errors.mean() / abs(density.projections[name].mean()):.0%}"
        for name, errors in density.projection_errors.items()
    ]
    if shares:
        typer.echo(f"of its projections: {', '.join(shares)}")


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
