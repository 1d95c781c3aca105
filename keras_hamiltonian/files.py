"""Files and folders that appear when they are complete."""

import contextlib
import os
import pathlib
import tempfile


@contextlib.contextmanager
def appearing(*targets):
    """Places to write to; what lies there takes the targets' names at the end.

    Args:
        *targets: paths in one folder, which is made. Files are replaced, and
            so are folders that are empty or removed before the end.

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
