"""The benchmarks of training run, at a tiny size, and both sides compute the same."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.mark.parametrize("objective", ["sft", "dpo"])
def test_loss_and_gradients_of_both_sides_are_equal_on_one_batch(benchmark, objective):
    loss, gradient = getattr(benchmark("beside_trl.equality"), objective)("tiny")
    assert loss < 1e-4
    assert gradient < 1e-4


@pytest.mark.parametrize("number", [1, 2, 3, 8, 9])
def test_every_kind_of_run_for_a_gpu_runs_at_a_tiny_size_on_a_cpu(benchmark, number):
    script = benchmark("train_gpu")
    found = script.measure(script.CASES[number], "cpu", num_steps=1)
    assert found["rate"] > 0
    assert found["mfu"] is None, "nobody knows a CPU's peak"


@pytest.mark.parametrize("number", range(10))
def test_the_cases_are_as_large_as_they_are_called(benchmark, number):
    import torch

    from minireason.model.attention import ATTENTION

    script = benchmark("train_gpu")
    case = script.CASES[number]
    with torch.device("meta"):
        model = script.model_of(script.configuration(case, 16_384, is_tiny=False), ATTENTION)
    expected = {"phi-4-mini": 3_836_021_760, "qwen3-0.6b": 596_049_920}
    assert sum(p.numel() for p in model.parameters()) == expected[case.shape]


SIDES = [
    "sampler",
    "sampler, no graphs",
    "forward",
    "forward, compiled",
    "transformers, dynamic cache",
    "transformers, static cache, compiled",
]


@pytest.mark.parametrize("side", SIDES)
def test_every_side_of_decoding_on_a_gpu_runs_at_a_tiny_size_on_a_cpu(benchmark, side):
    script = benchmark("sample_gpu")
    assert list(script.SIDES) == SIDES
    run = script.Run(batch=2, num_steps=3, device="cpu")
    timed = script.SIDES[side](script.model_of(side, run), run)
    assert len(timed.seconds) == script.WARMUP + 3
    assert timed.graphs == "off", "a CPU has none"


def test_the_limit_of_decoding_is_reading_the_weights_and_every_key_and_value(benchmark):
    from minireason.model.phi4_mini import meta_model, phi4_mini_config

    script = benchmark("sample_gpu")
    run = script.Run(batch=32, num_steps=5, device="cuda")
    num_keys = [1024 + 1 + script.WARMUP + step for step in range(5)]
    keys_and_values = 32 * num_keys[2] * (2 * 32 * 8 * 128) * 2
    model = meta_model(phi4_mini_config()).bfloat16()
    assert script.bytes_read(model, run) == 2 * 3_836_021_760 + keys_and_values


def test_a_row_for_a_gpu_gives_the_share_of_the_limit(benchmark):
    script = benchmark("sample_gpu")
    found = {"batch": 32, "graphs": "on", "step_s": 0.004, "share": 0.7, "memory": 12.0}
    assert script.line("sampler", found) == "| sampler | on | 32 | 4.00 | 8,000 | 70.0 % | 12.0 |"


@pytest.mark.slow
def test_the_table_of_decoding_is_written_with_date_and_device(tmp_path):
    out = tmp_path / "table.md"
    command = [sys.executable, FOLDER / "sample_gpu.py", "--dry-run-cpu", "--side", "forward"]
    subprocess.run([*command, "--batch", "1", "2", "--steps", "2", "--out", out], check=True)
    first, _, head, _, *rows = out.read_text(encoding="utf-8").splitlines()
    assert first.startswith("20") and "torch" in first
    assert [row.count("|") for row in rows] == [head.count("|")] * 2


@pytest.mark.slow
def test_the_table_for_a_gpu_is_written_with_date_and_device(tmp_path):
    out = tmp_path / "table.md"
    command = [sys.executable, FOLDER / "train_gpu.py", "--dry-run-cpu", "--case", "5"]
    subprocess.run([*command, "--steps", "1", "--out", out], check=True)
    first, _, head, _, row = out.read_text(encoding="utf-8").splitlines()
    assert first.startswith("20")
    assert head.count("|") == row.count("|")
    assert "qwen3-0.6b" in row


@pytest.mark.slow
def test_both_sides_have_the_same_useful_tokens_in_every_step(benchmark, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    runs = benchmark("beside_trl.runs")
    run = {"part": "curve", "model": "carried", "folder": "", "steps": 2}
    mine, others = (runs.carry_out(run | {"side": s}) for s in ("ours unpacked", "trl padded"))
    assert mine[0] == others[0]
    assert mine[1] == pytest.approx(others[1], abs=1e-3), json.dumps([mine, others])
