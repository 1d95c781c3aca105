"""HDF5 files: written whole, and read with suspicion."""

import contextlib
import io
import mmap
import pathlib
import struct

import h5py

from keras_hamiltonian.files import replacing
from keras_hamiltonian.reading import check_size

# Above it a look at every heap takes too long.
LARGEST_LOOK = 2**26
_HEAP = b"GCOL\x01\0\0\0"
_OBJECT = struct.Struct("<HHIQ")


def open_hdf5(path):
    """An HDF5 file open for reading.

    Reading needs no lock, which network disks often do not support.

    Args:
        path: str or path.

    Returns:
        `h5py.File`.

    Raises:
        ValueError: if there is no such file, HDF5 cannot open it, or it leads
            to other files.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist, or is no file.")
    _check_heaps(path)
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be opened as HDF5 ({error}); it may be cut short "
            "or of another format."
        ) from None
    try:
        _check_links(path, file)
    except BaseException:
        file.close()
        raise
    return file


def read_dataset(dataset):
    """All numbers of a data set, which the size of its file makes plausible.

    Args:
        dataset: `h5py.Dataset`.

    Returns:
        NumPy array.

    Raises:
        ValueError: if it is far larger than the file, or lies in another one.
    """
    path = pathlib.Path(dataset.file.filename)
    if path.is_file():  # else it is being written
        check_size(path, dataset.nbytes)
    if dataset.is_virtual or dataset.external:
        raise ValueError(
            f"{path}: the numbers of {dataset.name} lie in another file. Copy "
            "them into one."
        )
    return dataset[()]


@contextlib.contextmanager
def new_hdf5(path, **options):
    """An HDF5 file to write, which takes the name `path` when it is complete.

    HDF5 cannot close a file on a full disk, and then ends the process. Here
    it does not learn of the disk's errors, which are raised once it is done.

    Args:
        path: str or path. See `keras_hamiltonian.files.replacing`.
        **options: of `h5py.File`.

    Yields:
        `h5py.File`.

    Raises:
        OSError: if the file cannot be written.
    """
    with replacing(path) as place, _PatientFile(place, "w+b") as raw:
        try:
            with h5py.File(raw, "w", **options) as file:
                yield file
        finally:
            if raw.error is not None:
                raise raw.error


class _PatientFile(io.FileIO):
    """A file that keeps its first error, and seems to write from then on."""

    error = None

    def write(self, data):
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest) and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size=None):
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size


def _check_heaps(path):
    """Walks through the heaps of strings: HDF5 hangs in a damaged one."""
    if not 0 < path.stat().st_size <= LARGEST_LOOK:
        return
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        start = data.find(_HEAP)
        while start >= 0:
            size = int.from_bytes(data[start + 8 : start + 16], "little")
            place, end = start + 16, min(start + size, len(data))
            while place + _OBJECT.size <= end:
                number, _, _, length = _OBJECT.unpack_from(data, place)
                if number == 0 and length < _OBJECT.size:
                    raise ValueError(
                        f"{path}: the strings at byte {start} are damaged. "
                        "Copy the file again, or write it again."
                    )
                place += length if number == 0 else 16 + (length + 7) // 8 * 8
            start = data.find(_HEAP, start + 1)


def _check_links(path, file):
    def check(name, info):
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            return name
        return None

    found = file.id.links.visit(check, info=True)
    if found is not None:
        raise ValueError(
            f"{path}: {found.decode(errors='replace')!r} is a link to another "
            "file. Copy what it leads to into this one."
        )
