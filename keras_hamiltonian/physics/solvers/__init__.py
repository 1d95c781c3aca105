"""Eigenproblems of one wave vector: dense, and sparse near an energy."""
