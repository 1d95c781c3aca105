"""`keras-hamiltonian twist`: two layers, turned against each other."""

import pathlib
from typing import Annotated

import typer

from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.files import check_structure_file
from keras_hamiltonian.cli.files import one_structure
from keras_hamiltonian.files import replacing

# Below it a cell counts as one without strain.
SMALLEST_STRAIN = 1e-5


def twist(
    bottom: Annotated[
        pathlib.Path,
        typer.Argument(
            metavar="LAYER",
            help="The bottom layer: a structure file, or a calculation.",
        ),
    ],
    top: Annotated[
        pathlib.Path | None,
        typer.Argument(
            metavar="[TOP]", help="The top layer. Default: the same."
        ),
    ] = None,
    cell: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="M N",
            help="The cell (m, n) of hexagonal or square lattices: m a1 + n a2 "
            "below, n a1 + m a2 above. Default: --angle decides.",
        ),
    ] = None,
    top_cell: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="M N",
            help="m a1 + n a2 above, in its own lattice. Default: n a1 + m a2.",
        ),
    ] = None,
    angle: Annotated[
        float | None,
        typer.Option(
            metavar="DEGREES",
            help="In place of --cell, for any two lattices: the smallest cell "
            "within the limits. Default: --cell decides.",
        ),
    ] = None,
    distance: Annotated[
        float,
        typer.Option(
            metavar="Å", help="From the highest atom below to the lowest above."
        ),
    ] = 3.35,
    shift: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="X Y",
            help="Moves the top layer, in vectors of the bottom lattice.",
        ),
    ] = (0.0, 0.0),
    max_strain: Annotated[
        float, typer.Option(help="Largest strain of either layer.")
    ] = 0.01,
    share: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Share of the strain that LAYER takes."
        ),
    ] = 0.5,
    max_atoms: Annotated[
        int, typer.Option(min=1, help="Atoms of the cell.")
    ] = 20000,
    vacuum: Annotated[
        float, typer.Option(metavar="Å", help="Above the top layer.")
    ] = 15.0,
    output: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A format that ASE writes (.cif, .xyz, .vasp). Default: "
            "<LAYER>_twisted.xyz.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
):
    """Make a commensurate twisted bilayer of any two lattices.

    \b
      keras-hamiltonian twist graphene.cif --cell 31 32
      keras-hamiltonian twist graphene.cif mos2.cif --angle 19.1
      keras-hamiltonian twist graphene.cif --cell 1 0 --shift 0.3333 0.6667

    Angle, strains of both layers and the number of atoms are printed. Relaxed
    or corrugated layers, supercells and ribbons are made with ASE.
    """
    import ase.io

    from data_tools.twisted import commensurate_cells
    from data_tools.twisted import twisted_bilayer

    if (cell is None) == (angle is None):
        raise typer.BadParameter(
            "one of the two is needed: --cell M N or --angle DEGREES.",
            param_hint="--cell",
        )
    if top_cell is not None and cell is None:
        raise typer.BadParameter("goes with --cell.", param_hint="--top-cell")
    structure = one_structure(bottom)
    low = structure.atoms()
    high = low if top is None else one_structure(top).atoms()
    output = output or pathlib.Path(f"{structure.name}_twisted.xyz")
    check_structure_file(output)
    check_new(output, overwrite)
    cells = None
    if cell is not None:
        cells = commensurate_cells(low, *cell, high, *(top_cell or cell[::-1]))
    twisted = twisted_bilayer(
        low,
        high,
        cells,
        angle,
        distance,
        shift,
        max_strain,
        share,
        max_atoms,
        vacuum,
    )
    with replacing(output) as file:
        ase.io.write(file, twisted.atoms)
    typer.echo(f"{len(twisted.atoms)} atoms, angle {twisted.angle:.4f}°")
    for name, strains in zip(("bottom", "top"), twisted.strains):
        typer.echo(f"strain of the {name} layer: {_percent(strains)}")
    if cells is None and abs(twisted.strains).max() > SMALLEST_STRAIN:
        typer.echo(
            "The cell is the smallest within --max-strain; --max-strain 1e-6 "
            "looks for one without strain, which is larger."
        )
    typer.echo(f"written: {output}")


def _percent(strains):
    rounded = (round(100 * strain, 4) + 0.0 for strain in strains)
    return " and ".join(f"{strain:.4f} %" for strain in rounded)
