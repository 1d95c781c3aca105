"""One set of shells per element, from the shells of all atoms."""


def element_shells(place, atoms):
    """Shells of each element.

    Args:
        place: str or path. What is read, for errors.
        atoms: iterable of element symbols and the degrees of their shells.

    Returns:
        Dict from element symbol to degrees.

    Raises:
        ValueError: if two atoms of an element differ.
    """
    shells = {}
    for number, (symbol, degrees) in enumerate(atoms):
        if shells.setdefault(symbol, degrees) != degrees:
            raise ValueError(
                f"{place} gives {symbol} the shells {shells[symbol]} and, in "
                f"entry {number + 1}, {degrees}. One model needs one basis per "
                "element."
            )
    return shells
