"""Devices of torch; see `keras_hamiltonian.ops.backend.devices`."""

import torch


def device_names():
    names = ["cpu:0"]
    names += [f"gpu:{k}" for k in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps:0")
    if torch.xpu.is_available():
        names += [f"xpu:{k}" for k in range(torch.xpu.device_count())]
    return names


def device_of(tensor):
    kind = tensor.device.type.replace("cuda", "gpu")
    return f"{kind}:{tensor.device.index or 0}"
