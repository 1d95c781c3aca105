"""What goes wrong while a file is read is one sentence that names the file."""

import contextlib
import functools
import inspect
import pathlib

import yaml

# What is read may be so many times larger than a compressed file, and more
# than a small file by so many bytes.
LARGEST_RATIO = 500
SLACK = 2**26
DAMAGED = (
    "It is damaged, cut short or of another kind: copy it again, or repeat the "
    "run that wrote it."
)
# What HDF5 1 says of a type that HDF5 2.0 has introduced.
NEW_TYPE = "version number for datatype"
COMPLEX_NUMBERS = (
    "If it is not damaged, it holds complex numbers of HDF5 2.0, which h5py "
    "before 3.16 cannot read, and TensorFlow asks for an older one. Convert "
    "it once in an environment without TensorFlow (pip install 'h5py>=3.16', "
    "then `keras-hamiltonian convert`): every h5py reads the container."
)


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases, which make a short text long without end."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases such as *a are not supported")
        return super().compose_node(parent, index)


def load_yaml(text):
    """What a YAML text says, without aliases.

    Raises:
        yaml.YAMLError: if it cannot be read.
    """
    return yaml.load(text, _PlainLoader)


def check_size(path, num_bytes):
    """Refuses to read more from a file than it can sensibly hold.

    Args:
        path: str or path. A file.
        num_bytes: int. What would be read.

    Raises:
        ValueError: if that is more than 500 times the size of the file.
    """
    size = pathlib.Path(path).stat().st_size
    if num_bytes > LARGEST_RATIO * size + SLACK:
        raise ValueError(
            f"{path} has {size} bytes and claims to hold {num_bytes:.3g}. It "
            "is damaged: copy it again, or repeat the run that wrote it."
        )


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
        cause = DAMAGED
        if NEW_TYPE in reason:
            cause = COMPLEX_NUMBERS
        raise ValueError(f"{named} cannot be read ({reason}). {cause}") from (
            error
        )


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
