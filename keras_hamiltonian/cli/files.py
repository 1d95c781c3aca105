"""A structure to work on, and files that must not exist yet."""

import dataclasses
import os
import pathlib


def one_structure(path, name=None):
    """The structure of a path that holds one, or the one of that name.

    Raises:
        ValueError: if it is not exactly one.
    """
    from data_tools.structures import find_structures

    found = find_structures([path], name and [name])
    if len(found) > 1:
        names = [structure.name for structure in found]
        more = ", ..." if len(names) > 8 else ""
        raise ValueError(
            f"{path} holds {len(found)} structures; choose one by --name: "
            f"{', '.join(names[:8])}{more}."
        )
    return found[0]


def first_steps(paths, structures, step=None):
    """H⁰ of structures: from runs of the first SCF step, or computed.

    Args:
        paths: list of paths of runs, which are matched by name, or `None`.
        structures: list of `Structure`.
        step: `ZerothStep`, or `None`.

    Returns:
        `FirstSteps`.

    Raises:
        ValueError: if a structure has no run of its name, or the options do
            not go together.
    """
    if step and paths:
        raise ValueError(
            "H⁰ comes from runs, --initial, or from species, --species, not "
            "from both."
        )
    from data_tools.convert import initial_sources

    runs = {}
    if paths:
        runs = initial_sources(paths, [s.name for s in structures])
    return FirstSteps(runs, step)


@dataclasses.dataclass
class FirstSteps:
    """Structures with their H⁰.

    Attributes:
        runs: dict from the name of a structure to the `Source` of its run.
        step: `ZerothStep` for the others, or `None`.
    """

    runs: dict
    step: object

    def __call__(self, structure):
        """Reads a structure.

        Args:
            structure: `Structure`.

        Returns:
            Its atoms, its `Calculation` or `None`, and the `Calculation` of its
            run, a `ZerothStep`, or `None`.
        """
        from data_tools.formats import read_source

        atoms, known = structure.load()
        run = self.runs.get(structure.name)
        if run is None:
            return atoms, known, self.step
        run = read_source(run)
        if known and known.hamiltonian == run.hamiltonian:
            # The structure is that of its first step: its H is H⁰.
            known = dataclasses.replace(known, hamiltonian=None)
        return atoms, known, run


def check_new(path, overwrite=None):
    """Refuses a target that exists, or that cannot be written.

    Args:
        path: path.
        overwrite: bool. Whether a file may be replaced; `None` of a command
            without this option.

    Raises:
        ValueError: if it does, unless it is a file that may be overwritten; or
            if there is no folder for it in which you may write.
    """
    path = pathlib.Path(path)
    whole = path.absolute()
    above = whole
    while not above.exists() or (above == whole and not above.is_dir()):
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ValueError(
            f"{path} cannot be written: {above} is no folder in which you may "
            "write. Choose another place."
        )
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(
            f"{path} exists and has files in it. Choose another name, or "
            "remove it."
        )
    if path.is_file() and not overwrite:
        can_replace = overwrite is not None
        way_out = "replace it with --overwrite" if can_replace else "remove it"
        raise ValueError(f"{path} exists. Choose another name, or {way_out}.")


def check_structure_file(path):
    """Refuses a file of a structure whose name tells ASE no format.

    Raises:
        ValueError: if ASE writes no structures to files of this ending.
    """
    from ase.io.formats import UnknownFileTypeError
    from ase.io.formats import filetype
    from ase.io.formats import ioformats

    try:
        format = ioformats.get(filetype(str(path), read=False))
    except UnknownFileTypeError:
        format = None
    if format is None or not format.can_write:
        raise ValueError(
            f"ASE writes no structures to a file of this name: {path}. Take "
            "one that ends in .cif, .xyz or .vasp."
        )


def formats(ability, without=()):
    """Names of the formats to `"read"` or to `"write"`, in words."""
    from data_tools.formats import FORMATS

    return ", ".join(
        name
        for name, format in FORMATS.items()
        if getattr(format, ability) and name not in without
    )
