"""What `bands`, `dos` and `export` start from: H and S of one structure."""

import pathlib
from typing import Annotated
from typing import Any
from typing import Literal

import typer

from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.cli.files import first_steps
from keras_hamiltonian.cli.species import FILES
from keras_hamiltonian.cli.species import SpeciesOptions
from keras_hamiltonian.cli.species import species_options
from keras_hamiltonian.memory import bytes_of


def parse_electrons(text):
    """`26` as a float, `Mo=14,S=6` as a dict."""
    try:
        if "=" not in text:
            return float(text)
        pairs = (part.split("=") for part in text.split(","))
        return {symbol.strip(): float(number) for symbol, number in pairs}
    except ValueError:
        raise typer.BadParameter(
            "a number per cell, or numbers of elements such as Mo=14,S=6. "
            f"Received: {text}."
        ) from None


def known_size(memory):
    """The value of --memory, or a usage error."""
    try:
        return memory if memory is None else bytes_of(memory)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


# Options that several subcommands share.
Input = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="INPUT",
        help="A calculation of any format, a prediction, a container; with "
        "--model also a structure file (cif, POSCAR, xyz, ...).",
    ),
]
Model = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Predict with this .keras file, or the preset of this name. "
        "Default: the matrices of INPUT."
    ),
]
Initial = Annotated[
    list[pathlib.Path] | None,
    typer.Option(
        metavar="PATH",
        help="For models that take H⁰: runs that stopped at the first SCF "
        "step, matched by name. May be repeated. Default: H⁰ beside the "
        "structure, else computed by a model trained with species.",
    ),
]
# For commands that compute H⁰ for a model.
with_species = species_options(
    f"Compute H⁰ for a model that takes it, from {FILES}. Default: the "
    "model's own species."
)
Name = Annotated[
    str | None,
    typer.Option(
        help="Which structure, where INPUT holds several. Default: the only "
        "one."
    ),
]
Electrons = Annotated[
    Any,
    typer.Option(
        metavar="N",
        parser=parse_electrons,
        help="Valence electrons, for the Fermi level: per cell, or of each "
        "element, as in Mo=14,S=6. Default: what INPUT or the model's training "
        "set tells.",
    ),
]
Window = Annotated[
    tuple[float, float],
    typer.Option(
        metavar="LOW HIGH", help="Energies relative to the Fermi level, eV."
    ),
]
FermiLevel = Annotated[
    float | None,
    typer.Option(
        metavar="EV",
        help="Fermi level, eV. Default: that of INPUT, else from the electrons "
        "on a grid of wave vectors at 300 K.",
    ),
]
Grid = Annotated[
    tuple[int, int, int] | None,
    typer.Option(
        metavar="N N N",
        help="Wave vectors along each direction, 1 along vacuum. Default: "
        "30 Å over the height of the cell, which is coarse.",
    ),
]
Broadening = Annotated[
    float,
    typer.Option(metavar="EV", help="Standard deviation of the Gaussians, eV."),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Where the network is computed: cpu, gpu, gpu:1. Default: the GPU "
        "if the backend sees one."
    ),
]
Dtype = Annotated[
    Literal["float32", "float64"] | None,
    typer.Option(
        help="Precision in which the network is computed. Default: that of "
        "the model."
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Processes, one thread each.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        callback=known_size,
        help="Limit of memory of each process, such as 4GB, for cells that are "
        "too large for dense matrices: factors that do not fit wait on the "
        "disk. A prediction (--model) goes in slabs then. Default: no limit.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that exist.")
]


def output(what):
    """The option for the file of numbers, `<name>.<what>.json`."""
    option = typer.Option(
        "--output",
        "-o",
        help="Numbers, .json or .npz; the picture has the same name and ends "
        f"in .png. Default: <name>.{what}.json.",
    )
    return Annotated[pathlib.Path | None, option]


def check_window(window):
    """Raises a usage error where a window has no width."""
    if not window[0] < window[1]:
        raise typer.BadParameter(
            f"goes from low to high. Received: {window[0]:g} {window[1]:g}.",
            param_hint="--window",
        )


def check_level(electrons, fermi_level):
    """Raises a usage error where both of the two tell the Fermi level."""
    if electrons is not None and fermi_level is not None:
        raise typer.BadParameter(
            "tells the Fermi level, and --electrons would not count beside "
            "it. Give one of the two.",
            param_hint="--fermi-level",
        )


def targets(output, name, what, overwrite):
    """Files of numbers and picture, which do not exist yet.

    Raises:
        ValueError: if they exist, or numbers cannot be written so.
    """
    if output is None:
        output = pathlib.Path(f"{name}.{what}.json")
    if output.suffix not in (".json", ".npz"):
        raise ValueError(f"--output ends in .json or .npz. Received: {output}.")
    picture = output.with_suffix(".png")
    for file in (output, picture):
        check_new(file, overwrite)
    return output, picture


def open_crystal(
    structure,
    model=None,
    electrons=None,
    fermi_level=None,
    workers=1,
    initial=None,
    species=None,
    uncertainty=False,
    device=None,
    dtype=None,
    max_memory=None,
):
    """Reads a structure, and predicts its matrices where a model is given.

    Args:
        structure: `Structure`.
        model: `Stage`, path of a `.keras` file, or `None`.
        electrons: float or dict, see `kh.physics.total_electrons`, in place of
            those known.
        fermi_level: float in eV, in place of the one known.
        workers: int. Processes.
        initial: list of paths of runs that have H⁰, for a model that takes
            it, or `None`.
        species: the same from `SpeciesOptions` or a `ZerothStep`, or `None`.
        uncertainty: bool. Whether the prediction gives expected errors.
        device, dtype, max_memory: see `kh.predict`.

    Returns:
        `kh.ElectronicStructure`; that of the structure's own Hamiltonian,
        which a prediction is compared with, or `None`; and the warnings of the
        prediction, which are printed, a list of dicts.

    Raises:
        ValueError: if the structure has no matrices and there is no model.
    """
    import keras_hamiltonian as kh

    if (initial or species) and model is None:
        raise typer.BadParameter(
            "is for a model that takes H⁰; give --model as well.",
            param_hint="--initial" if initial else "--species",
        )
    if uncertainty and model is None:
        raise typer.BadParameter(
            "is for predictions; give --model as well.",
            param_hint="--uncertainty",
        )
    for option, value in (("--device", device), ("--dtype", dtype)):
        if value is not None and model is None:
            raise typer.BadParameter(
                "is for predictions; give --model as well.", param_hint=option
            )
    if isinstance(model, str | pathlib.Path):
        from keras_hamiltonian.models.placement import check_placement
        from keras_hamiltonian.models.placement import on_device

        check_placement(device, dtype)
        with on_device(device):
            model = kh.load_model(model)
    if isinstance(species, SpeciesOptions):
        species = model and species.zeroth_step(model.basis, model.spin)
    atoms, known, run = first_steps(initial, [structure], species)(structure)
    if model is None:
        if known is None:
            raise ValueError(
                f"{structure.name} is a structure without matrices. Predict "
                "them by --model MODEL."
            )
        crystal = kh.ElectronicStructure(
            known, None, electrons, fermi_level, workers, max_memory
        )
        return crystal, None, []
    crystal = kh.predict(
        model,
        known or atoms,
        num_electrons=electrons,
        name=structure.name,
        initial=run,
        uncertainty=uncertainty,
        device=device,
        dtype=dtype,
        max_memory=max_memory,
    )
    crystal.workers = workers
    if fermi_level is not None:
        crystal.calculation.fermi_level = fermi_level
    reference = None
    if known is not None and known.hamiltonian is not None:
        reference = kh.ElectronicStructure(known, model, workers=workers)
    warnings = [*crystal.warnings, *crystal.level_warnings()]
    for warning in warnings:
        typer.echo(warning_line(warning), err=True)
    return crystal, reference, warnings


def warning_line(warning):
    """A line for a warning of a prediction, see `prediction_warnings`."""
    return f"Warning ({warning['kind']}): {warning['message']}"


def known_level(crystal):
    """Fermi level of an `ElectronicStructure` in eV.

    Raises:
        ValueError: if a matrix is missing, or nothing tells the level.
    """
    calculation = crystal.calculation
    if calculation.fermi_level is calculation.num_electrons is None:
        raise ValueError(
            f"The Fermi level of {calculation.name!r} is not known, and "
            "neither is the number of electrons. Give --fermi-level (eV) or "
            "--electrons (valence electrons)."
        )
    return crystal.fermi_level


def print_gap(gap, place):
    """Prints a `BandGap`; `place` says where it was looked for."""
    if gap.gap == 0:
        typer.echo(f"Gap {place}: none, bands meet the Fermi level")
        return
    typer.echo(
        f"Gap {place}: {gap.gap:.4f} eV (direct {gap.direct_gap:.4f} eV), "
        f"from {gap.valence_edge:.4f} eV at {_in_words(gap.valence_k)} to "
        f"{gap.conduction_edge:.4f} eV at {_in_words(gap.conduction_k)}"
    )


def _in_words(k_point):
    return f"({', '.join(f'{x:.3f}' for x in k_point)})"
