"""`keras-hamiltonian zeroth`: H⁰ and S without a DFT run."""

import contextlib
import pathlib
from typing import Annotated

import typer

from keras_hamiltonian.cli.cluster import on_cluster
from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.species import FILES
from keras_hamiltonian.cli.species import species_options
from keras_hamiltonian.messages import Phase
from keras_hamiltonian.parallel import has_cluster
from keras_hamiltonian.parallel import ordered_map


@on_cluster
@species_options(f"{FILES}.", is_required=True)
def zeroth(
    structures: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="STRUCTURE",
            help="Files that ASE reads (cif, POSCAR, xyz, ...), or "
            "calculations, containers and folders of them.",
        ),
    ],
    species,
    output: Annotated[
        pathlib.Path,
        typer.Option("--output", "-o", help="Container (.h5) to write."),
    ] = pathlib.Path("zeroth_step.h5"),
    neutral_atoms: Annotated[
        str,
        typer.Option(
            help="Neutral-atom potentials on the grid, or by projectors, for "
            "models of OpenMX's own H⁰."
        ),
    ] = "grid",
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Take the structure of this name alone; may be repeated. "
            "Default: all.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
):
    """Compute H⁰ and S of superposed atoms, without a DFT run.

    \b
      keras-hamiltonian zeroth new.cif --species DFT_DATA19 --input set.dat
      keras-hamiltonian zeroth new.cif --species DFT_DATA19 \\
          --orbitals C6.0-s2p2d1 -o h0.h5
      keras-hamiltonian zeroth new.cif --species siesta_run --grid-cutoff 300
      keras-hamiltonian predict model.keras new.cif --initial h0.h5

    The container is like one of runs that stopped at the first SCF step: its
    Hamiltonian is H⁰ (eV).
    """
    from data_tools.structures import find_structures
    from keras_hamiltonian.data.store import HamiltonianStore

    check_new(output, overwrite)
    found = find_structures(structures, name)
    step = species.zeroth_step(neutral_atoms=neutral_atoms, workers=workers)
    computed = ordered_map(_computed, found, step, not has_cluster())
    with HamiltonianStore.write(output, computed) as store:
        typer.echo(f"{len(store)} structures: {output}")


def _computed(structure, step, has_bar):
    """The `Calculation` of a structure."""
    from keras_hamiltonian.initial import zeroth_calculation

    atoms, _ = structure.load()
    bar = Phase(structure.name) if has_bar else contextlib.nullcontext()
    with bar as step.progress:
        return zeroth_calculation(step, atoms, structure.name)
