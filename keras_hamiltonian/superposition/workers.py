"""Work shared by threads, with results in order."""

import collections

import numpy as np

# Results that wait for their turn bound the memory.
AHEAD = 4


def ordered_map(function, items, pool=None):
    """Results of a function in the order of the items.

    What is done with the results, one after another, does not depend on the
    number of threads, so sums are the same bit for bit.

    Args:
        function: function of an item.
        items: iterable.
        pool: `concurrent.futures.ThreadPoolExecutor`, or `None` for this
            thread alone.

    Yields:
        What the function returned.
    """
    if pool is None:
        yield from map(function, items)
        return
    waiting = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class Buffers:
    """Memory that products of equal size use one after another.

    New arrays of this size would cost as much as what is done with them: the
    system hands them out page by page.
    """

    def __init__(self):
        self._free = collections.deque()

    def take(self, rows, columns):
        """A `(rows, columns)` float64 array with any numbers in it."""
        size = rows * columns
        try:
            flat = self._free.pop()
        except IndexError:
            flat = np.empty(size)
        if len(flat) < size:
            flat = np.empty(size)
        return flat[:size].reshape(rows, columns)

    def give(self, array):
        """Takes back an array of `take`."""
        self._free.append(array if array.base is None else array.base)
