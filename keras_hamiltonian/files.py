"""Files and folders that appear when they are complete."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def replacing(path):
    """Yields a place to write to; what is written there takes the name `path`.

    At any moment `path` is the old file or the complete new one. If writing
    fails the old one stays and nothing else remains; only a process that is
    killed while it writes leaves a hidden folder `.<name>.<random>` behind.

    A new file has the permissions of a plain `open`, a replaced one keeps its
    own. An empty folder is replaced, a folder with files is not.

    Args:
        path: str or path. Of a file or a folder; missing folders above it are
            made.

    Yields:
        `pathlib.Path` with the same last name, for one file or folder.

    Raises:
        OSError: if `path` is a folder with files in it, or nothing was
            written.

    Example:

    >>> with replacing("numbers.txt") as place:    # doctest: +SKIP
    ...     place.write_text("1 2 3")
    """
    path = pathlib.Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", dir=path.parent
    ) as scratch:
        place = pathlib.Path(scratch) / path.name
        yield place
        if path.is_file():
            shutil.copymode(path, place)
        os.replace(place, path)


def write_text(path, text):
    """Writes a text file in UTF-8 by `replacing`.

    Args:
        path: str or path.
        text: str.
    """
    with replacing(path) as place:
        place.write_text(text, encoding="utf-8")
