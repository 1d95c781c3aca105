"""Whether an operation is being called to build a graph or to compute."""

import keras


def is_symbolic(*tensors):
    """Whether any tensor, in lists and dicts too, is a `KerasTensor`.

    Functions of this package then make an `Operation` and a node of the graph;
    otherwise they compute at once, which saves the making of an `Operation`
    (50 µs, as long as a dozen small products on torch).
    """
    return any(
        isinstance(t, keras.KerasTensor) for t in keras.tree.flatten(tensors)
    )


def broadcast_shapes(*shapes):
    """The shape that shapes broadcast to; `None` is a size not known yet.

    Raises:
        ValueError: if they do not fit.
    """
    result = [1] * max(len(shape) for shape in shapes)
    for shape in shapes:
        for axis, size in enumerate(shape, start=len(result) - len(shape)):
            known = {result[axis], size} - {1}
            if len(known - {None}) > 1:
                raise ValueError(
                    "Leading axes must be equal, or 1 where they are to be "
                    f"repeated. Received: {', '.join(map(str, shapes))}."
                )
            if known:
                result[axis] = max(known, key=lambda s: -1 if s is None else s)
    return tuple(result)
