"""A limit of file sizes, which stands for a full disk."""

import contextlib


@contextlib.contextmanager
def largest_file(size):
    """No file grows beyond a size, here and in processes started here.

    Args:
        size: int, in bytes; `None` for no limit.
    """
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = soft if size is None else size
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
