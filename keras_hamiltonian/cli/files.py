"""A structure to work on, and files that appear when they are complete."""

import contextlib
import os
import pathlib
import tempfile


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


def check_new(path, overwrite=False):
    """Refuses a target that exists.

    Raises:
        ValueError: if it does, unless it is a file that may be overwritten.
    """
    path = pathlib.Path(path)
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(
            f"{path} exists, with files in it. Choose another name, "
            "or remove it."
        )
    if path.is_file() and not overwrite:
        raise ValueError(
            f"{path} exists. Choose another name, or replace it "
            "with --overwrite."
        )


@contextlib.contextmanager
def appearing(*targets):
    """Places to write to; what lies there takes the targets' names at the end.

    Args:
        *targets: paths in one folder, which is made.

    Yields:
        List of paths with the same last names. If writing fails nothing
        remains.
    """
    targets = [pathlib.Path(target).absolute() for target in targets]
    folder = targets[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial.", dir=folder) as scratch:
        places = [pathlib.Path(scratch) / target.name for target in targets]
        yield places
        for place, target in zip(places, targets):
            os.replace(place, target)


def write_structure(target, calculation, format, **options):
    """Writes one calculation; the file or folder appears when complete.

    Args:
        target: path. A folder of it must be empty, a file is replaced.
        calculation: `Calculation`.
        format: str. A name of `data_tools.formats.FORMATS`.
        **options: of the writer.
    """
    from data_tools.formats import write_calculation

    if format == "deeph-dock":
        # It asks for the same pairs in H and S.
        options = {"fill_missing": True, **options}
    with appearing(target) as (place,):
        write_calculation(place, calculation, format, **options)


def formats(ability, without=()):
    """Names of the formats to `"read"` or to `"write"`, in words."""
    from data_tools.formats import FORMATS

    return ", ".join(
        name
        for name, format in FORMATS.items()
        if getattr(format, ability) and name not in without
    )
