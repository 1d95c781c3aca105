"""`keras-hamiltonian export`: one structure for another program."""

import pathlib
import warnings
from typing import Annotated

import typer

from keras_hamiltonian.cli import spectrum
from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.files import one_structure


@spectrum.with_species
def export(
    path: spectrum.Input,
    target: Annotated[
        pathlib.Path,
        typer.Argument(
            help="File, such as x.HSX, x.npz or x_hr.dat; or a new folder."
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="siesta (.HSX, read by sisl too), wannier90 (_hr.dat), npz, "
            "deeph-legacy, deeph-dock, abacus, abacus-legacy. Default: what "
            "TARGET ends in."
        ),
    ] = None,
    model: spectrum.Model = None,
    initial: spectrum.Initial = None,
    species=None,
    name: spectrum.Name = None,
    grid: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="N N N",
            help="wannier90: wave vectors along each direction, 1 along "
            "vacuum. Bands are exact there. No default.",
        ),
    ] = None,
    cutoff: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="EV",
            help="wannier90: leave out cells whose largest number is below "
            "this, eV.",
        ),
    ] = 0.0,
    electrons: spectrum.Electrons = None,
    fermi_level: spectrum.FermiLevel = None,
    overwrite: spectrum.Overwrite = False,
):
    """Write one calculation or prediction for another program.

    \b
      keras-hamiltonian export graphene.scfout graphene.HSX
      keras-hamiltonian export my_set.h5 050.npz --name 050
      keras-hamiltonian export graphene.scfout graphene_hr.dat --grid 36 36 1
      keras-hamiltonian export new.cif new.HSX --model model.keras

    siesta needs sisl (pip install "keras-hamiltonian[siesta]"). wannier90
    files hold orthogonal orbitals; how far their bands are off between the
    points of the grid is printed.
    """
    format = _format(target, format)
    if format == "wannier90" and grid is None:
        raise ValueError(
            "A wannier90 file is made on a grid of wave vectors; give its "
            "sizes, for example --grid 12 12 1."
        )
    if format != "wannier90" and (grid is not None or cutoff):
        raise ValueError(
            "--grid and --cutoff belong to wannier90. Received with the "
            f"format {format}."
        )
    check_new(target, overwrite)
    crystal, _, _ = spectrum.open_crystal(
        one_structure(path, name),
        model,
        electrons,
        fermi_level,
        initial=initial,
        species=species,
    )
    if format == "wannier90":
        _export_wannier90(crystal.completed(), target, grid, cutoff)
    else:
        crystal.write(target, format)
    typer.echo(f"{target} ({format})")


def _export_wannier90(calculation, target, grid, cutoff):
    from data_tools.wannier90 import WARNING_IN_EV
    from data_tools.wannier90 import export_wannier90

    with warnings.catch_warnings():
        # The same, shorter.
        warnings.filterwarnings("ignore", message=".*Take a denser grid")
        report = export_wannier90(calculation, target, grid, cutoff)
    typer.echo(report)
    if (report.occupied_error or 0.0) > WARNING_IN_EV:
        typer.echo("Warning: take a denser grid or a smaller cutoff.", err=True)


def _format(target, format):
    """The name of a format that can be written."""
    from data_tools.formats import ending_format
    from data_tools.formats import known_format

    if format is None:
        format = ending_format(target)
    if format is None:
        raise ValueError(
            f"The name {target} does not say which format to write. Give "
            "--format, or a name that ends in .HSX, .npz or _hr.dat."
        )
    return known_format(format, "write").name
