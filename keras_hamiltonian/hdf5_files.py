"""HDF5 files that appear when they are complete."""

import contextlib
import io

import h5py

from keras_hamiltonian.files import replacing


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
