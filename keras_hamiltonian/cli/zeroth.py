"""`keras-hamiltonian zeroth`: H⁰ and S without a DFT run."""

import pathlib
import sys
import time
from typing import Annotated

import typer

from keras_hamiltonian.cli.files import check_new

# Seconds without a bar.
PATIENCE = 3.0


def zeroth(
    structures: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="STRUCTURE",
            help="Files that ASE reads (cif, POSCAR, xyz, ...), or "
            "calculations, containers and folders of them.",
        ),
    ],
    species: Annotated[
        pathlib.Path,
        typer.Option(
            metavar="FOLDER",
            help="OpenMX's DFT_DATA19, or a folder with its .pao and .vps, "
            "SIESTA's .ion.xml, or ABACUS' .orb and .upf files.",
        ),
    ],
    output: Annotated[
        pathlib.Path,
        typer.Option("--output", "-o", help="Container (.h5) to write."),
    ] = pathlib.Path("zeroth_step.h5"),
    input: Annotated[
        pathlib.Path | None,
        typer.Option(
            metavar="FILE",
            help="An OpenMX input of the data set: orbitals, potentials, "
            "functional, spin and cut-off are taken from it. Default: the "
            "options below.",
        ),
    ] = None,
    orbitals: Annotated[
        list[str] | None,
        typer.Option(
            help="Of each element, such as C6.0-s2p2d1; may be repeated. Of "
            "SIESTA species labels, of ABACUS names of .orb files. Default: "
            "those of --input, or all of the folder.",
        ),
    ] = None,
    functional: Annotated[
        str, typer.Option(help="PBE, or LDA as PW92 or PZ81.")
    ] = "PBE",
    spin_orbit: Annotated[
        bool, typer.Option("--spin-orbit", help="With spin-orbit coupling.")
    ] = False,
    cutoff: Annotated[
        float,
        typer.Option(
            help="Of the grid, Ry: that of the data set. SIESTA's "
            "Mesh.Cutoff, four times ABACUS' ecutwfc."
        ),
    ] = 200.0,
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
      keras-hamiltonian zeroth new.cif --species siesta_run --cutoff 300
      keras-hamiltonian predict model.keras new.cif --initial h0.h5

    The container is like one of runs that stopped at the first SCF step: its
    Hamiltonian is H⁰ (eV).
    """
    from data_tools.structures import find_structures
    from keras_hamiltonian.data.store import HamiltonianStore

    check_new(output, overwrite)
    found = find_structures(structures, name)
    options = {"neutral_atoms": neutral_atoms, "workers": workers}
    if input is not None:
        if orbitals:
            raise ValueError("Give --input or --orbitals, not both.")
        from data_tools.openmx_species import openmx_zeroth_step

        step = openmx_zeroth_step(input, species, **options)
    else:
        from data_tools.species import read_species
        from keras_hamiltonian.superposition.zeroth_step import ZerothStep

        step = ZerothStep(
            read_species(species, orbitals, spin_orbit=spin_orbit),
            functional=functional,
            spin="noncollinear" if spin_orbit else "none",
            grid_cutoff=cutoff,
            **options,
        )
    with HamiltonianStore.write(output, _computed(step, found)) as store:
        typer.echo(f"{len(store)} structures: {output}")


def _computed(step, structures):
    """A `Calculation` of each structure, one at a time."""
    from keras_hamiltonian.initial import zeroth_calculation

    for structure in structures:
        atoms, _ = structure.load()
        step.progress = _Bar(structure.name)
        found = zeroth_calculation(step, atoms, structure.name)
        step.progress.close()
        yield found


class _Bar:
    """A bar on stderr, from a few seconds on."""

    def __init__(self, label):
        self.label, self.start = label, time.monotonic()
        self.bar = None

    def __call__(self, fraction):
        if self.bar is None:
            if time.monotonic() - self.start < PATIENCE:
                return
            self.bar = typer.progressbar(
                length=100, label=self.label, file=sys.stderr
            )
        self.bar.update(int(100 * fraction) - self.bar.pos)

    def close(self):
        if self.bar is not None:
            self.bar.render_finish()
