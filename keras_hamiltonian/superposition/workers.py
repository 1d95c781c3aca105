"""Work shared by threads, with results in order."""

import collections
import concurrent.futures
import math

import numpy as np


class Workers:
    """Threads whose results come in the order of the work.

    What is done with the results, one after another, does not depend on the
    number of threads, so sums are the same bit for bit.

    Args:
        count: int. With 1 all is done in the calling thread.
    """

    def __init__(self, count=1):
        self.count = count

    def __enter__(self):
        self._pool = None
        if self.count > 1:
            self._pool = concurrent.futures.ThreadPoolExecutor(self.count)
        return self

    def __exit__(self, *error):
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function, items, ahead=None):
        """Results of a function, item by item.

        Args:
            function: function of an item.
            items: iterable.
            ahead: int. Results that may wait for their turn, which bounds the
                memory. Defaults to two for each thread.

        Yields:
            What the function returned.
        """
        if self._pool is None:
            yield from map(function, items)
            return
        ahead = 2 * self.count if ahead is None else ahead
        waiting = collections.deque()
        for item in items:
            waiting.append(self._pool.submit(function, item))
            if len(waiting) > ahead:
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

    def take(self, *shape):
        """A float64 array of a shape with any numbers in it."""
        size = math.prod(shape)
        try:
            flat = self._free.pop()
        except IndexError:
            flat = np.empty(size)
        if len(flat) < size:
            flat = np.empty(size)
        return flat[:size].reshape(shape)

    def give(self, array):
        """Takes back an array of `take`."""
        self._free.append(array if array.base is None else array.base)
