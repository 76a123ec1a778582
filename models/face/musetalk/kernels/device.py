"""Where the kernels can run."""

import importlib.util

import torch

from models.face.musetalk.kernels.reference import Operations, ReferenceOperations


def operations_for(device: torch.device) -> Operations:
    """Triton's kernels on a GPU that has what they need, plain torch elsewhere."""
    if not can_run_kernels(device):
        return ReferenceOperations()
    from models.face.musetalk.kernels.hopper_tiles import measured_tiles
    from models.face.musetalk.kernels.launch import TritonOperations

    return TritonOperations(measured_tiles(torch.cuda.get_device_capability(device)))


def can_run_kernels(device: torch.device) -> bool:
    """Whether this is a GPU with matrix units for eight bits (Ada, Hopper and later) and Triton is installed."""
    if device.type != "cuda" or not torch.cuda.is_available() or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 9)
