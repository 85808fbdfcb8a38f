from __future__ import annotations

import pytest
import torch

from minireason.model.devices import (
    BANDWIDTHS,
    PEAKS,
    named_bandwidth,
    named_peak,
    peak_bandwidth,
    peak_flops,
    peak_memory_gib,
)


@pytest.mark.parametrize(
    ("name", "bfloat16", "float32"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12, 66.9e12),
        ("NVIDIA H100 PCIe", 756e12, 51.2e12),
        ("NVIDIA H100 NVL", 835.5e12, 60e12),
        ("NVIDIA H200", 989.4e12, 66.9e12),
        ("NVIDIA B200", 2250e12, 75e12),
        ("NVIDIA A100-SXM4-80GB", 312e12, 19.5e12),
        ("NVIDIA A100 80GB PCIe", 312e12, 19.5e12),
        ("NVIDIA L40S", 362.1e12, 91.6e12),
        ("NVIDIA L4", 121e12, 30.3e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12, 82.6e12),
        ("Tesla V100-SXM2-16GB", None, 15.7e12),
        ("Tesla T4", None, 8.1e12),
    ],
)
def test_known_devices_have_their_dense_peaks(
    name: str, bfloat16: float | None, float32: float
) -> None:
    assert named_peak(name) == pytest.approx(bfloat16)
    assert named_peak(name, "float32") == pytest.approx(float32)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA GH200 480GB",
        "NVIDIA L40",
        "NVIDIA T400",
        "AMD Instinct MI300X",
    ],
)
def test_a_device_that_is_only_named_like_a_known_one_has_no_peak(name: str) -> None:
    assert named_peak(name) is None and named_peak(name, "float32") is None
    assert named_bandwidth(name) is None


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("NVIDIA B200", 8000),
        ("NVIDIA H200", 4800),
        ("NVIDIA H200 NVL", 4800),
        ("NVIDIA H100 80GB HBM3", 3350),
        ("NVIDIA H100 PCIe", 2000),
        ("NVIDIA H100 NVL", 3900),
        ("NVIDIA A100-SXM4-80GB", 2039),
        ("NVIDIA A100-SXM4-40GB", 1555),
        ("NVIDIA A100 80GB PCIe", 1935),
        ("NVIDIA A100-PCIE-40GB", 1555),
        ("NVIDIA L40S", 864),
        ("NVIDIA GeForce RTX 4090", 1008),
        ("Tesla V100-SXM2-16GB", 900),
        ("Tesla T4", 320),
    ],
)
def test_known_devices_have_the_bandwidth_of_their_memory(name: str, gigabytes: float) -> None:
    assert named_bandwidth(name) == pytest.approx(gigabytes * 1e9)


def test_where_one_peak_is_unknown_by_name_so_is_the_other() -> None:
    unknown = {name for name, peak in PEAKS.items() if peak == (None, None)}
    assert all(name in BANDWIDTHS and BANDWIDTHS[name] is None for name in unknown)


def test_a_cpu_has_no_peak() -> None:
    assert peak_flops("cpu") is None and peak_bandwidth("cpu") is None


def test_the_peak_of_memory_grows_with_what_is_held() -> None:
    before = peak_memory_gib("cpu")["peak_memory_gib"]
    held = torch.ones(int(before * 2**28) + 2**26)  # float32: all of it again, and 1/4 GiB
    after = peak_memory_gib("cpu")["peak_memory_gib"]
    assert after >= held.numel() * 4 / 2**30 > before
