"""Kohn-Sham Hamiltonians of crystals from equivariant networks in Keras 3."""
