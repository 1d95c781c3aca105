"""Elements behind the labels that programs give to kinds of atoms."""

import re

from ase.data import atomic_numbers

_NO_ATOM = re.compile("ghost|empty|float|dummy", re.IGNORECASE)


def element_of_label(place, label):
    """Element symbol of a label such as `Fe`, `Fe1` or `Fe_surface`.

    Args:
        place: str or path. What is read, for the error.
        label: str.

    Raises:
        ValueError: if the label does not begin with an element that ends
            where its letters do, or is that of a ghost.
    """
    letters = re.match(r"[A-Za-z]*", label).group()
    if letters not in atomic_numbers or _NO_ATOM.search(label):
        raise ValueError(
            f"{place} has atoms labelled {label!r}; expected an element, such "
            "as Fe, Fe1 or Fe_surface. Empty and ghost atoms are not "
            "supported; rename a kind of atoms that is none."
        )
    return letters
