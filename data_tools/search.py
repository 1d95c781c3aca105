"""Calculations below a folder, and what looks like one and is none."""

import fnmatch

from data_tools.initial import INITIAL_FOLDER

# Names where no format is recognised, and why there is none.
RESEMBLANCES = {
    "OUT.*": "a run of ABACUS without H(R) and S(R) of one step",
    "*.csr": "a matrix of ABACUS outside of its folder OUT.*",
    "*.TSHS": "of SIESTA only the HSX file is read: SaveHS true",
    "*.HS": "of SIESTA only the HSX file of version 5 is read",
    "*.nc": "of SIESTA only the HSX file is read: SaveHS true",
    "hamiltonian*.h5": "matrices of DeepH without their structure",
    "overlap*.h5": "matrices of DeepH without their structure",
}
MOST_NAMES = 5


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


def _resemblance(path, resemblances):
    for pattern, reason in resemblances.items():
        is_folder = pattern.startswith("OUT")
        if fnmatch.fnmatch(path.name, pattern) and path.is_dir() == is_folder:
            return reason
    return None
