"""Options of H⁰ from species files, which several subcommands share."""

import dataclasses
import functools
import inspect
import pathlib
from typing import Annotated

import typer

FILES = (
    "OpenMX's DFT_DATA19, or a folder with its .pao and .vps, SIESTA's "
    ".ion.xml, or ABACUS' .orb and .upf files"
)


@dataclasses.dataclass(frozen=True)
class SpeciesOptions:
    """What a user says about species; all is `None` without --species.

    Attributes: as the arguments of `data_tools.species.read_zeroth_step`.
    """

    folder: pathlib.Path | None
    input: pathlib.Path | None
    orbitals: list[str] | None
    functional: str | None
    spin_orbit: bool | None
    grid_cutoff: float | None

    def __post_init__(self):
        given = [
            f"--{name.replace('_', '-')}"
            for name, value in vars(self).items()
            if value not in (None, [])
        ]
        if self.folder is None and given:
            raise ValueError(
                f"{', '.join(given)}: these go with species. Give --species "
                "FOLDER as well."
            )

    def __bool__(self):
        return self.folder is not None

    def settings(self):
        """The settings of a training, `None` where nothing is said."""
        found = {f"species_{name}": x for name, x in vars(self).items()}
        found["species_orbitals"] = self.orbitals or None
        found["species"] = found.pop("species_folder")
        for name in ("species", "species_input"):
            found[name] = found[name] and str(found[name])
        return found

    def zeroth_step(self, basis=None, spin=None, **options):
        """The `ZerothStep`, or `None` without species.

        Args:
            basis, spin: of the data or of a model, where they are known.
            **options: further ones of `ZerothStep`.
        """
        if self.folder is None:
            return None
        from data_tools.species import read_zeroth_step

        return read_zeroth_step(**vars(self), basis=basis, spin=spin, **options)


def _option(kind, name, *declarations, **options):
    annotation = Annotated[kind, typer.Option(*declarations, **options)]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=annotation,
    )


OPTIONS = (
    _option(
        pathlib.Path | None,
        "input",
        metavar="FILE",
        help="With --species, an OpenMX input of the data set: orbitals, "
        "potentials, functional, spin and cut-off are taken from it. Default: "
        "the options below.",
    ),
    _option(
        list[str] | None,
        "orbitals",
        help="With --species, of each element, such as C6.0-s2p2d1; may be "
        "repeated. Of SIESTA species labels, of ABACUS names of .orb files. "
        "Default: all of the folder; of OpenMX the only .pao of each element, "
        "with the shells of data or model.",
    ),
    _option(
        str | None,
        "functional",
        help="With --species: PBE, LDA as PW92 or PZ81, or with the extra "
        "libxc others, such as PBEsol. Default: PBE.",
    ),
    _option(
        bool | None,
        "spin_orbit",
        "--spin-orbit/--no-spin-orbit",
        help="With --species, spin-orbit coupling. Default: as in the data or "
        "the model, else without.",
    ),
    _option(
        float | None,
        "grid_cutoff",
        metavar="RY",
        help="With --species, of the grid: that of the data set. SIESTA's "
        "Mesh.Cutoff, four times ABACUS' ecutwfc. Default: 200.",
    ),
)


def species_options(help, is_required=False):
    """Gives a command the options of species in place of its `species`.

    Args:
        help: str. What they are for, in this command.
        is_required: bool. Whether --species must be given.

    Returns:
        A decorator; the command gets `SpeciesOptions`.
    """
    folder = _option(
        pathlib.Path | None, "species", metavar="FOLDER", help=help
    )
    if is_required:
        folder = folder.replace(default=inspect.Parameter.empty)

    def decorate(command):
        signature = inspect.signature(command)
        parameters = []
        for parameter in signature.parameters.values():
            is_species = parameter.name == "species"
            own = (parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY),)
            parameters += (folder, *OPTIONS) if is_species else own

        @functools.wraps(command)
        def call(species, **given):
            chosen = [given.pop(option.name) for option in OPTIONS]
            return command(species=SpeciesOptions(species, *chosen), **given)

        call.__signature__ = signature.replace(parameters=parameters)
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        return call

    return decorate
