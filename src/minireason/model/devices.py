"""What a device can do at most, and how much of its memory was used."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import TypeVar

import torch

T = TypeVar("T")
Peak = tuple[float | None, float | None]

# Dense peaks in TFLOP/s, bfloat16 on tensor cores (accumulated in float32) and float32 without
# them, by words of the name that CUDA gives, first match. From NVIDIA's data sheet of each device,
# without sparsity; for the RTX cards from the GA102 and AD102 whitepapers. Volta and Turing have no
# bfloat16. What is named like a device and is another has no peak.
PEAKS: dict[str, Peak] = {
    "MIG": (None, None),
    "B200": (2250.0, 75.0),
    "H200 NVL": (835.5, 60.0),
    "H200": (989.4, 66.9),
    "H100 NVL": (835.5, 60.0),
    "H100 PCIe": (756.0, 51.2),
    "H100": (989.4, 66.9),
    "A100": (312.0, 19.5),
    "L40S": (362.1, 91.6),
    "L4": (121.0, 30.3),
    "RTX 4090 D": (None, None),
    "RTX 4090 Laptop": (None, None),
    "RTX 4090": (165.2, 82.6),
    "RTX 3090 Ti": (None, None),
    "RTX 3090": (71.0, 35.6),
    "V100 SXM2": (None, 15.7),
    "V100 SXM3": (None, 15.7),
    "V100": (None, 14.0),
    "T4": (None, 8.1),
}

# Peaks of the memory's bandwidth in GB/s, likewise. Where a name leaves the memory open, or the
# data sheet and the device that was sold do not agree, there is none.
BANDWIDTHS: dict[str, float | None] = {
    "MIG": None,
    "B200": 8000.0,
    "H200": 4800.0,
    "H100 NVL": 3900.0,
    "H100 PCIe": 2000.0,
    "H100": 3350.0,
    "A100 SXM4 80GB": 2039.0,
    "A100 80GB PCIe": 1935.0,
    "A100 SXM4 40GB": 1555.0,
    "A100 PCIE 40GB": 1555.0,
    "L40S": 864.0,
    "L4": 300.0,
    "RTX 4090 D": None,
    "RTX 4090 Laptop": None,
    "RTX 4090": 1008.0,
    "RTX 3090 Ti": None,
    "RTX 3090": 936.0,
    "V100 SXM3": None,
    "V100": 900.0,
    "T4": 320.0,
}


def peak_flops(device: torch.device | str, dtype: str = "bfloat16") -> float | None:
    """Dense peak of a device in FLOP/s for `bfloat16` or `float32`; None where not known."""
    device = torch.device(device)
    return named_peak(torch.cuda.get_device_name(device), dtype) if device.type == "cuda" else None


def named_peak(name: str, dtype: str = "bfloat16") -> float | None:
    """The same by the device's name, for example `NVIDIA H100 80GB HBM3`."""
    found = _by_name(PEAKS, name) or (None, None)
    tflops = found[0] if dtype == "bfloat16" else found[1]
    return None if tflops is None else tflops * 1e12


def peak_bandwidth(device: torch.device | str) -> float | None:
    """What a device reads from its memory at most, in bytes a second; None where not known."""
    device = torch.device(device)
    return named_bandwidth(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def named_bandwidth(name: str) -> float | None:
    """The same by the device's name."""
    found = _by_name(BANDWIDTHS, name)
    return None if found is None else found * 1e9


def _by_name(table: Mapping[str, T], name: str) -> T | None:
    words = f" {name.replace('-', ' ')} "
    return next((value for known, value in table.items() if f" {known} " in words), None)


def peak_memory_gib(device: torch.device | str) -> dict[str, float]:
    """Most memory in GiB that this process has held so far, as metrics.

    On CUDA what tensors took and what the allocator reserved, elsewhere the resident set.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return {
            "peak_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30,
            "peak_reserved_gib": torch.cuda.max_memory_reserved(device) / 2**30,
        }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    return {"peak_memory_gib": peak / (2**30 if sys.platform == "darwin" else 2**20)}
