"""H⁰ and S of superposed atoms, without a run of a DFT program."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["RealSpaceGrid"],
        "radial": ["RadialFunction"],
        "species": ["Projector", "Species", "basis_of"],
        "zeroth_step": ["ZerothStep"],
    },
)
