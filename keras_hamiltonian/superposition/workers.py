"""Work shared by threads, with results in order."""

import collections

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
