"""`keras-hamiltonian optics`: absorption of light between bands."""

from typing import Annotated

import typer

from keras_hamiltonian.cli import spectrum
from keras_hamiltonian.cli.cluster import on_cluster
from keras_hamiltonian.cli.files import one_structure
from keras_hamiltonian.cli.species import FILES
from keras_hamiltonian.cli.species import species_options
from keras_hamiltonian.files import replacing

POINTS_PER_WIDTH = 4


@species_options(
    "Dipoles between orbitals, and H⁰ for a model that takes it, from "
    f"{FILES}. Default: the species of the model; without any, orbitals of one "
    "atom have no dipoles."
)
@on_cluster
def optics(
    path: spectrum.Input,
    model: spectrum.Model = None,
    initial: spectrum.Initial = None,
    species=None,
    name: spectrum.Name = None,
    grid: spectrum.Grid = None,
    window: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Energies of the photons, eV."),
    ] = (0.1, 6.0),
    broadening: spectrum.Broadening = 0.1,
    electrons: spectrum.Electrons = None,
    fermi_level: spectrum.FermiLevel = None,
    workers: spectrum.Workers = 1,
    output: spectrum.output("optics") = None,
    overwrite: spectrum.Overwrite = False,
):
    """Optical conductivity of a calculation or of a prediction.

    \b
      keras-hamiltonian optics graphene.scfout --grid 48 48 1
      keras-hamiltonian optics new.cif --model model.keras
      keras-hamiltonian optics graphene.scfout --species DFT_DATA19 \\
          --input graphene.dat

    Transitions between bands (Kubo and Greenwood), in S/m; the picture of a
    layer shows what it absorbs. Excitons, local fields and the Drude part are
    not in it.
    """
    import numpy as np

    import keras_hamiltonian as kh
    from keras_hamiltonian import physics

    spectrum.check_window(window)
    spectrum.check_level(electrons, fermi_level)
    structure = one_structure(path, name)
    output, picture = spectrum.targets(
        output, structure.name, "optics", overwrite
    )
    model = model and kh.load_model(model)
    step = model and species.zeroth_step(model.basis, model.spin)
    crystal, _, _ = spectrum.open_crystal(
        structure, model, electrons, fermi_level, workers, initial, step
    )
    if model is None:
        known = crystal.calculation
        step = species.zeroth_step(known.basis, known.spin)
    elif step is None:
        step = model.zeroth_step
    level = spectrum.known_level(crystal)
    grid = physics.k_grid(crystal.atoms) if grid is None else grid
    if step is None:
        typer.echo(
            "Orbitals of one atom have no dipoles here: give --species for "
            "them.",
            err=True,
        )
    threshold = crystal.matrices.overlap_threshold
    if threshold:
        typer.echo(
            f"The model leaves out combinations of orbitals of norms below "
            f"{threshold:g}: velocities are those between the others, within "
            "a few percent.",
            err=True,
        )
    velocity = physics.VelocityOperator(
        crystal.matrices, crystal.atoms, step and step.dipoles(crystal.atoms)
    )
    number = round((window[1] - window[0]) * POINTS_PER_WIDTH / broadening) + 1
    found = physics.optical_conductivity(
        velocity,
        grid,
        np.linspace(*window, max(number, 2)),
        level,
        broadening,
        workers=workers,
    )
    with replacing(output) as numbers, replacing(picture) as drawing:
        found.save(numbers)
        kh.plots.plot_conductivity(found, drawing, structure.name)
    typer.echo(f"Grid: {' x '.join(map(str, grid))}")
    typer.echo(f"Fermi level: {level:.4f} eV")
    if found.height is not None:
        middle = len(found.energies) // 2
        typer.echo(
            f"Absorption at {found.energies[middle]:.2f} eV: "
            f"{100 * found.absorption[middle]:.2f} %"
        )
    typer.echo(f"{output}, {picture}")
