"""How far a model looks."""


def receptive_steps(model, from_features=False):
    """Steps from neighbour to neighbour that the blocks of an atom depend on.

    One for each message of the backbones of all stages (`num_messages`), and
    one for the second atom of a block. Neighbours are atoms whose orbitals
    overlap.

    Args:
        model: `Stage`.
        from_features: bool. Whether the features of the first stage are known
            of all atoms.

    Returns:
        int.

    Raises:
        ValueError: if a backbone does not say how many messages it has, or a
            stage takes means over the whole structure.
    """
    steps = 1
    for stage in model.stages():
        if stage.arguments.get("norm") == "graph":
            raise ValueError(
                f'The stage {stage.name!r} has norm="graph": its means go over '
                "the whole structure, so that every block depends on all "
                'atoms. Train with norm="local", or predict without a limit '
                "of memory."
            )
        messages = getattr(stage.backbone, "num_messages", None)
        if messages is None:
            raise ValueError(
                f"The backbone {stage.backbone.name!r} does not say how often "
                "atoms hear of their neighbours. Set its attribute "
                "`num_messages`, or predict without a limit of memory."
            )
        if from_features:
            is_first = stage is model.stages()[0]
            own = getattr(stage.backbone, "num_own_messages", messages)
            messages = 0 if is_first else own
        steps += messages
    return steps
