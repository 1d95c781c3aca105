"""What goes wrong while a file is read is one sentence that names the file."""

import contextlib
import functools
import inspect


@contextlib.contextmanager
def reading(path, place=""):
    """Turns every error of a reader into a `ValueError` that names the file.

    A damaged file makes a reader, and the libraries below it, fail in any way.
    The error itself is the cause of the new one.

    Args:
        path: str or path.
        place: str. What is read of the file.

    Raises:
        ValueError: for any error. One of the reader's own that names the file
            stays as it is.
    """
    named = f"{path}, {place}" if place else path
    try:
        yield
    except (ValueError, OSError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{named}: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ValueError(
            f"{named} cannot be read ({reason}). It is damaged, cut short or "
            "of another kind: copy it again, or repeat the run that wrote it."
        ) from error


def reader(read):
    """Decorator of a reader, whose first argument is a path: see `reading`."""
    signature = inspect.signature(read)

    @functools.wraps(read)
    def wrapped(path, *args, **options):
        try:
            signature.bind(path, *args, **options)
        except TypeError as error:
            raise ValueError(
                f"{path}: the reader was called with the options "
                f"{', '.join(options)}: {error}."
            ) from error
        with reading(path):
            return read(path, *args, **options)

    return wrapped
