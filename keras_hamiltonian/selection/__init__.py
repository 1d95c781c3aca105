"""Which structures a model would learn most from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "choice": ["Choice", "choose"],
        "features": ["atom_features"],
        "proposal": ["propose"],
    },
)
