"""Calculations below a folder, and what looks like one and is none."""

import dataclasses
import fnmatch
import functools
import pathlib
import warnings
from collections.abc import Callable

from data_tools.initial import INITIAL_FOLDER
from data_tools.initial import initial_place
from data_tools.initial import with_initial

# Names where no format is recognised, and why there is none.
RESEMBLANCES = {
    "OUT.*": "a run of ABACUS without H(R) and S(R) of one step",
    "*.csr": "a matrix outside of a folder of ABACUS (OUT.*) or CP2K",
    "*.TSHS": "of SIESTA only the HSX file is read: SaveHS true",
    "*.HS": "of SIESTA only the HSX file of version 5 is read",
    "*.nc": "of SIESTA only the HSX file is read: SaveHS true",
    "*_hr.dat": "a matrix of wannier90 without its .win",
    "data.mdb": "of HamGNN and QH9 the .npz and .db files are read, not LMDB",
    "hamiltonian*.h5": "matrices of DeepH without their structure",
    "overlap*.h5": "matrices of DeepH without their structure",
}
MOST_NAMES = 5


@dataclasses.dataclass(frozen=True)
class Source:
    """One structure that can be read.

    Attributes:
        file: path. File or folder that holds it.
        name: str. Its name.
        format: str. Name of its format.
        read: function of the reader's options that returns the `Calculation`.
    """

    file: pathlib.Path
    name: str
    format: str
    read: Callable


def sources_of(path, wanted, strict, resemblances):
    """Structures at or below a path; see `data_tools.formats.find_sources`.

    Args:
        path: str or path.
        wanted: list of `data_tools.formats.Format`.
        strict: bool.
        resemblances: dict, see `search`.

    Returns:
        List of `Source`, not empty.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    passed = {}
    sources = _take(path, wanted)  # errors of the path itself are raised
    if sources is None:
        sources = search(
            path, lambda place: _take(place, wanted), passed, resemblances
        )
    words = in_words(path, passed)
    if not sources:
        marks = ", ".join(f"{f.name} ({f.mark})" for f in wanted)
        raise ValueError(
            f"{path} holds nothing that can be read. Expected one of the "
            f"formats {marks}, or a folder with such things. {words}".strip()
        )
    if passed and strict:
        raise ValueError(words)
    if passed:
        warnings.warn(words, stacklevel=3)
    return sources


def chosen(path, structures, name):
    """The one structure of a name, or the only one.

    Args:
        path: str or path. What holds them, for the error.
        structures: list of pairs of a name and anything.
        name: str or `None`.

    Returns:
        A pair of the list.

    Raises:
        ValueError: if there is none of this name, or several.
    """
    found = [x for x in structures if name is None or x[0] == name]
    if len(found) == 1:
        return found[0]
    called = "" if name is None else f" called {name!r}"
    names = ", ".join(x[0] for x in structures[:MOST_NAMES])
    raise ValueError(
        f"{path} holds {len(found)} structures{called}; expected one. Choose "
        f"by `name` ({names}{', ...' * (len(structures) > MOST_NAMES)}), or "
        "take them all with `find_sources` or `convert`."
    )


def matching(path, wanted):
    """The format of a file or folder, `None` if it is of none of those.

    Args:
        path: path.
        wanted: iterable of `data_tools.formats.Format`.

    Raises:
        ValueError: if it is of several.
    """
    found = [f for f in wanted if f.matches and f.matches(path)]
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise ValueError(
            f"{path} holds calculations of several formats: {names}. Choose "
            "one by `format`."
        )
    return found[0] if found else None


def search(path, take, passed, resemblances, above=frozenset()):
    """What a function takes at or below a path.

    Hidden folders are not searched, nor those that are called `initial`.

    Args:
        path: path.
        take: function from a path to a list, or to `None` where it takes
            nothing and the search goes on below.
        passed: dict. Takes the places that cannot be read, with the reason.
        resemblances: dict. Reasons of names, see `RESEMBLANCES`.
        above: frozenset of paths: folders that are being searched.

    Returns:
        List of all that was taken, in the order of the paths.
    """
    try:
        found = take(path)
        if found is not None:
            return found
        is_folder = path.is_dir()
        reason = _resemblance(path, resemblances)
        if reason is not None:
            passed[path] = reason
            return []
        place = path.resolve()
        # A link may lead back up.
        if not is_folder or place in above:
            return []
        children = sorted(path.iterdir())
    except (ValueError, OSError) as error:
        passed[path] = str(error)
        return []
    return [
        taken
        for child in children
        if child.name != INITIAL_FOLDER and not child.name.startswith(".")
        for taken in search(child, take, passed, resemblances, above | {place})
    ]


def in_words(path, passed):
    """What was passed over below a path, as one sentence; empty for nothing.

    Args:
        path: path.
        passed: dict, see `search`.
    """
    if not passed:
        return ""
    some = "; ".join(
        f"{place.relative_to(path) if place != path else path.name} ({why})"
        for place, why in list(passed.items())[:MOST_NAMES]
    )
    more = ", ..." if len(passed) > MOST_NAMES else "."
    return f"{path}: {len(passed)} places were passed over: {some}{more}"


def _take(path, wanted):
    """Sources of one place, `None` if it is of no format."""
    found = matching(path, wanted)
    return None if found is None else _sources(path, found)


def _sources(path, found):
    if found.structures:
        return [
            Source(path, name, found.name, read)
            for name, read in found.structures(path).items()
        ]
    name = path.resolve().name
    for ending in found.endings:
        name = name.removesuffix(ending)
    read = functools.partial(_read, found, path)
    return [Source(path, name, found.name, read)]


def _read(format, path, **options):
    calculation = format.read(path, **options)
    place = initial_place(path)
    if not place.exists():
        return calculation
    return with_initial(calculation, format.read(place))


def _resemblance(path, resemblances):
    for pattern, reason in resemblances.items():
        is_folder = pattern.startswith("OUT")
        if fnmatch.fnmatch(path.name, pattern) and path.is_dir() == is_folder:
            return reason
    return None
