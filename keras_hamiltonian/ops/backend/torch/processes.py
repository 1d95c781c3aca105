"""Messages between the processes that `torchrun` started."""

import contextlib
import datetime
import os

import torch
from torch import distributed

# The others wait while the first process tests a model.
PATIENCE = datetime.timedelta(days=7)
CPU = torch.device("cpu")


@contextlib.contextmanager
def connected():
    """Joins the processes; yields the number of this one and of all."""
    is_ours = not distributed.is_initialized()
    if is_ours:
        distributed.init_process_group(_backend(), timeout=PATIENCE)
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        if is_ours:
            distributed.destroy_process_group()


def _backend():
    """One GPU for each process of a machine; more processes than GPUs share
    them, which NCCL does not stand."""
    number = torch.cuda.device_count()
    if not number:
        return "gloo"
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % number)
    is_shared = int(os.environ["LOCAL_WORLD_SIZE"]) > number
    return "gloo" if is_shared else "cpu:gloo,cuda:nccl"


def total(x):
    return _Total.apply(x)


class _Total(torch.autograd.Function):
    """The sum over all processes, of which each differentiates its own term."""

    @staticmethod
    def forward(ctx, x):
        found = x.clone()
        distributed.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def totals(tensors, likes):
    """Sums of tensors of the shapes of `likes`; `None` where all have none."""
    flat = torch.cat(
        [
            (torch.zeros_like(like) if x is None else x).reshape(-1)
            for x, like in zip(tensors, likes)
        ]
    )
    is_there = flat.new_tensor([x is not None for x in tensors])
    flat = torch.cat([flat, is_there])
    distributed.all_reduce(flat)
    *pieces, is_there = flat.split([*(x.numel() for x in likes), len(likes)])
    return [
        piece.view_as(like) if number else None
        for piece, like, number in zip(pieces, likes, is_there.tolist())
    ]


def first(value):
    found = [value]
    distributed.broadcast_object_list(found, device=CPU)
    return found[0]


def wait():
    distributed.barrier()
