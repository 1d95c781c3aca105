"""`keras-hamiltonian bands`: band structure along a path."""

import math
from typing import Annotated

import typer

from keras_hamiltonian.cli import spectrum
from keras_hamiltonian.cli.cluster import on_cluster
from keras_hamiltonian.cli.files import one_structure
from keras_hamiltonian.conventions import CODE
from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.files import replacing

# All bands of larger cells take minutes; then only those near the Fermi level
# are solved, by sparse matrices.
MOST_ORBITALS = 1000
NEAR_BANDS = 40


@on_cluster
@spectrum.with_species
def bands(
    path: spectrum.Input,
    model: spectrum.Model = None,
    initial: spectrum.Initial = None,
    species=None,
    device: spectrum.Device = None,
    dtype: spectrum.Dtype = None,
    name: spectrum.Name = None,
    k_path: Annotated[
        str | None,
        typer.Option(
            "--path",
            help="Points of high symmetry, such as GMKG; a comma is a jump. "
            "Default: the standard path of the lattice.",
        ),
    ] = None,
    points: Annotated[
        int,
        typer.Option(
            min=2, help="Approximate number of wave vectors on the path."
        ),
    ] = 120,
    window: spectrum.Window = (-6.0, 6.0),
    num_bands: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of bands, those nearest to the Fermi level. "
            f"Default: all in cells of up to {MOST_ORBITALS} orbitals, else "
            f"{NEAR_BANDS} by the sparse solver.",
        ),
    ] = None,
    electrons: spectrum.Electrons = None,
    fermi_level: spectrum.FermiLevel = None,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="With --model: errors that are expected of the levels, shaded "
            "in the picture.",
        ),
    ] = False,
    workers: spectrum.Workers = 1,
    memory: spectrum.Memory = None,
    output: spectrum.output("bands") = None,
    overwrite: spectrum.Overwrite = False,
):
    """Band structure of a calculation or of a prediction.

    \b
      keras-hamiltonian bands graphene.scfout --path GMKG
      keras-hamiltonian bands new.cif --model model.keras --path GMKG
      keras-hamiltonian bands my_set.h5 --name 050 --model model.keras

    The last one draws the prediction over the bands of the calculation, and
    prints both Fermi levels and the error. Fermi level and gap are printed in
    eV.
    """
    import keras_hamiltonian as kh

    spectrum.check_window(window)
    spectrum.check_level(electrons, fermi_level)
    structure = one_structure(path, name)
    output, picture = spectrum.targets(
        output, structure.name, "bands", overwrite
    )
    crystal, known, warnings = spectrum.open_crystal(
        structure,
        model,
        electrons,
        fermi_level,
        workers,
        initial,
        species,
        uncertainty,
        device=device,
        dtype=dtype,
        max_memory=memory,
    )
    level = spectrum.known_level(crystal)
    if num_bands is None and crystal.size > MOST_ORBITALS:
        num_bands = NEAR_BANDS
        typer.echo(
            f"{crystal.size} orbitals: the {NEAR_BANDS} bands nearest to the "
            "Fermi level are solved (--num-bands asks for more).",
            err=True,
        )
    options = {}
    if num_bands is not None:
        options = {
            "solve": kh.physics.nearest_states,
            "energy": level,
            "num_states": min(num_bands, crystal.size),
        }
    found = crystal.bands(k_path, points, **options)
    compared = known and _reference(known, found, options)
    is_prediction = model is not None or _was_predicted(crystal.calculation)
    shown = (found, compared) if is_prediction else (None, found)
    labels = ("predicted", "DFT")
    if known is not None and _was_predicted(known.calculation):
        labels = ("predicted", "predicted before")
    with replacing(output) as numbers, replacing(picture) as drawing:
        found.save(numbers, warnings)
        kh.plots.plot_bands(*shown, drawing, window, structure.name, labels)
    typer.echo(f"Fermi level: {level:.4f} eV")
    if compared is not None:
        _print_comparison(found, compared, is_whole=num_bands is None)
    try:
        gap = kh.physics.gap_of_bands(
            found.k_points, found.energies, fermi_level=level
        )
    except ValueError as error:
        typer.echo(f"Gap along the path: unknown. {error}")
    else:
        spectrum.print_gap(gap, "along the path")
    typer.echo(f"{output}, {picture}")


def _was_predicted(calculation):
    """Whether a file says that a model predicted its Hamiltonian; H⁰ that the
    package computed has no model."""
    source = calculation.source
    return source.get("code") == CODE and "model" in source


def _reference(known, predicted, options):
    """Bands of the calculation that a prediction is compared with."""
    import keras_hamiltonian as kh

    level = predicted.fermi_level
    if known.has_fermi_level:
        level = known.fermi_level
    if "energy" in options:
        options = {**options, "energy": level}
    return kh.physics.band_structure(
        known.matrices, predicted.path, level, workers=known.workers, **options
    )


def _print_comparison(predicted, reference, is_whole):
    """Fermi level of the calculation, and how far predicted levels are off.

    Args:
        predicted, reference: `BandStructure`.
        is_whole: bool. Whether all bands were solved: of a part, the n-th of
            one need not be the n-th of the other.
    """
    from keras_hamiltonian.evaluation.report import WINDOW
    from keras_hamiltonian.evaluation.report import band_error

    typer.echo(
        f"Fermi level of the calculation: {reference.fermi_level:.4f} eV, on "
        "its own grid"
    )
    if is_whole:
        error = MEV_PER_EV * band_error(predicted, reference)
        if math.isnan(error):
            return  # no level is near
        typer.echo(
            f"Levels within {WINDOW[1]:g} eV of it: off by {error:.2f} meV on "
            "the mean"
        )
