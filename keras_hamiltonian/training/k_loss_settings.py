"""Settings of the loss between eigenstates."""

import pydantic

from keras_hamiltonian.training.strict_settings import StrictSettings


class KLossSettings(StrictSettings):
    """How much errors between eigenstates count, and which states there are.

    See `kh.losses.KSpaceLoss` and `kh.models.StateFolder`.

    Example:

    >>> KLossSettings(window=2).window
    2.0
    """

    weight: float = pydantic.Field(
        0.3, gt=0, description="Of the loss, beside that of the blocks."
    )
    p: float = pydantic.Field(
        1.0, ge=0, description="Share of the states up to the window."
    )
    q: float = pydantic.Field(
        0.1, ge=0, description="Share of the states above it."
    )
    pq: float = pydantic.Field(
        0.3, ge=0, description="Share of what mixes the two."
    )
    gauge: bool = pydantic.Field(
        False, description="Whether H and H + μS are the same."
    )
    diagonal: bool = pydantic.Field(
        False, description="Levels alone (WALoss), not what mixes them."
    )
    window: float = pydantic.Field(
        3.0, description="Energy above the Fermi level where P ends, in eV."
    )
    mesh: tuple[int, int, int] | None = pydantic.Field(
        None, description="Mesh of wave vectors. By default that of the cell."
    )
    num_k_points: int = pydantic.Field(
        8, ge=1, description="Wave vectors of the mesh kept per structure."
    )
    num_states: int = pydantic.Field(
        256, ge=2, description="States kept per wave vector."
    )
    folder: str | None = pydantic.Field(
        None,
        description="Where the states are kept. By default <data>.states "
        "beside the data.",
    )

    def loss_options(self):
        """Arguments of `KSpaceLoss`: dict."""
        return self.model_dump(
            include={"weight", "p", "q", "pq", "gauge", "diagonal"}
        )

    def state_options(self):
        """Arguments of `StateFolder`, but for the path: dict."""
        return self.model_dump(
            include={"window", "mesh", "num_k_points", "num_states"}
        )
