"""The benchmarks run, at a tiny size, and all sides compute the same."""

import importlib
import json
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from minireason.model.source import TINY_FOLDER
from minireason.records import EvalSample, write_records

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


SMALL = {"prompts_per_step": 2, "group_size": 4, "max_tokens": 32, "rows": 4, "learning_rate": 0.01}


@pytest.fixture
def rlvr_run(benchmark, monkeypatch, tmp_path):
    """A run of the carried base on few of its own questions, and what carries it out."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    runs = benchmark("beside_grpo.runs")
    run = {"model": "tiny", "prompts": str(tmp_path / "prompts"), "num_steps": 2, "kept_every": 1}
    runs.carry_out(run | {"part": "prepare", "num_held_out": 3, "only_open": False})
    return runs.carry_out, run | SMALL | {"part": "train"}


def test_our_side_of_rlvr_draws_the_prompts_that_trl_is_given(
    benchmark, monkeypatch, tmp_path, rlvr_run
):
    from minireason.rl.groups import GroupSampler

    drawn = []
    groups = GroupSampler._groups

    def noted(self, number, temperature, prompts, first_place):
        drawn.extend(prompts)
        return groups(self, number, temperature, prompts, first_place)

    monkeypatch.setattr(GroupSampler, "_groups", noted)
    carry_out, run = rlvr_run
    carry_out(run | {"side": "ours", "folder": str(tmp_path / "run")})
    task = benchmark("beside_grpo.task")
    assert drawn == task.prompts_in_order(task.task_of(run))
    assert len(drawn) == 4


@pytest.mark.parametrize("side", ["ours", "trl"])
def test_a_step_of_rlvr_is_timed_with_its_parts_and_its_weights_are_kept(
    benchmark, tmp_path, rlvr_run, side
):
    pytest.importorskip("trl")
    carry_out, run = rlvr_run
    run |= {"side": side, "folder": str(tmp_path / "run")}
    for step in carry_out(run):
        assert step["seconds"] > step["sampling_s"] + step["reward_s"] > 0
        assert 8 <= step["num_tokens"] <= 8 * 32
        assert step["num_responses"] == 8
    pass_rates = carry_out(run | {"part": "held_out"})
    assert len(pass_rates) == 2
    assert all(0 <= rate <= 1 for rate in pass_rates)


def test_a_step_of_trl_that_would_have_fewer_responses_is_refused(benchmark, tmp_path):
    pytest.importorskip("trl")
    task = benchmark("beside_grpo.task").Task("tiny", "", 1, prompts_per_step=8, rows=24)
    with pytest.raises(ValueError, match="rows is 24 and a step has 64 responses"):
        benchmark("beside_grpo.theirs").arguments(task, tmp_path)


def test_the_weights_that_our_side_keeps_last_are_those_of_its_model(benchmark, tmp_path, rlvr_run):
    import torch

    from minireason.model.load import load_model

    carry_out, run = rlvr_run
    carry_out(run | {"side": "ours", "folder": str(tmp_path / "run")})
    taken, base, final = (load_model(m) for m in ("tiny", "tiny", str(tmp_path / "run")))
    kept = benchmark("beside_grpo.ours").kept(tmp_path / "run")
    benchmark("beside_grpo.held_out").take(taken, kept[-1])
    weights = [list(m.model.parameters()) for m in (taken, base, final)]
    for mine, before, after in zip(*weights, strict=True):
        torch.testing.assert_close(mine, after, rtol=0, atol=0)
        assert not torch.equal(mine, before)


def test_the_time_to_a_pass_rate_lies_on_the_line_between_two_measurements(benchmark):
    seconds_to = benchmark("rlvr").seconds_to
    points = [(0.0, 0.4), (10.0, 0.5), (20.0, 0.45), (40.0, 0.65)]
    assert seconds_to(0.4, points) == 0
    assert seconds_to(0.475, points) == pytest.approx(7.5)
    assert seconds_to(0.55, points) == pytest.approx(30)  # half of the way from 20 to 40
    with pytest.raises(ValueError, match="does not reach"):
        seconds_to(0.7, points)


@pytest.mark.slow
def test_the_benchmark_of_rlvr_prints_its_tables_at_a_tiny_size(
    benchmark, monkeypatch, capsys, rlvr_run
):
    pytest.importorskip("trl")
    script, (carry_out, _) = benchmark("rlvr"), rlvr_run
    monkeypatch.setattr(script.turns, "child", lambda _, run: carry_out(run))
    command = ["rlvr.py", "--tiny", "--rounds", "1", "--steps", "2", "--only", "steps", "curves"]
    monkeypatch.setattr(sys, "argv", command)
    script.main()
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| ours") for line in lines) == 1
    assert sum(line.startswith("Ours is faster by") for line in lines) == 1
    tables = [list(rows) for is_row, rows in groupby(lines, lambda s: s[:1] == "|") if is_row]
    assert [len(table) for table in tables] == [4, 5, 5]
    assert all(len({row.count("|") for row in table}) == 1 for table in tables)


SAMPLERS = [
    ("generate", {}),
    ("generate", {"order": "by prompt"}),
    ("generate", {"cache": "static"}),
    ("generate_batch", {}),
]


@pytest.fixture
def finished_run(tmp_path):
    """A run with a model and eight evaluation samples of it, of 3 to 10 tokens."""
    run = tmp_path / "run"
    shutil.copytree(TINY_FOLDER, run / "rlvr")
    blank = dict.fromkeys(("answer", "response", "verdict", "extracted", "method"), "")
    samples = [
        EvalSample(
            benchmark="b",
            question_id=f"q{n}",
            index=0,
            question=f"What is {n}+{10**n}?",
            finish_reason="stop",
            num_tokens=n + 3,
            **blank,
        )
        for n in range(8)
    ]
    (run / "evaluate-rlvr" / "samples").mkdir(parents=True)
    write_records(run / "evaluate-rlvr" / "samples" / "b.parquet", samples, EvalSample)
    return run


def test_every_sampler_generates_the_same_greedy_tokens_of_the_asked_lengths(
    benchmark, finished_run, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    child, model = benchmark("beside_samplers.child"), str(finished_run / "rlvr")
    made = benchmark("beside_samplers.work").works(finished_run, "rlvr", 8, seed=0)
    ragged = made["ragged"]
    mine = child.timed(child.opened("ours", model), ragged, {"batch": 3})["tokens"]
    assert sorted(map(len, mine)) == list(range(3, 11))
    for engine, options in SAMPLERS:
        found = child.timed(child.opened(engine, model), ragged, {"batch": 3, **options})
        assert found["tokens"] == mine, (engine, options)


def test_prompts_of_one_length_are_all_different(benchmark):
    of_one_length = benchmark("beside_samplers.work").of_one_length
    assert of_one_length([[1, 2], [3, 1, 2], [3, 4], [1, 2], [9, 8, 7]], 3) == [
        [1, 2],
        [3, 4],
        [8, 7],
    ]


def test_a_response_is_cut_after_its_first_stop_token(benchmark):
    ended = benchmark("beside_samplers.theirs").ended
    assert ended([5, 6, 7, 6], {6}) == [5, 6]
    assert ended([5, 7], {6}) == [5, 7]


def test_an_exports_loss_is_over_all_questions_of_benchmarks_that_share_an_id(benchmark):
    from minireason.evaluate.sample import ScoredSample

    def side(*marks):
        blank = dict.fromkeys(("question", "answer", "response", "extracted", "method"), "")
        blank |= {"index": 0, "finish_reason": "stop", "num_tokens": 1}
        verdicts = {"1": "correct", "0": "incorrect"}
        return {
            f"b{number}": [
                ScoredSample(
                    benchmark=f"b{number}", question_id=f"q{n}", verdict=verdicts[mark], **blank
                )
                for n, mark in enumerate(own)
            ]
            for number, own in enumerate(marks)
        }

    lost = benchmark("edge").lost
    assert lost(side("11", "10"), side("10", "10")).startswith("25.0 [")
    assert lost(side("10", "10"), side("11", "10")).startswith("-25.0 [")


@pytest.mark.slow
def test_the_table_of_samplers_has_a_row_for_every_side(finished_run):
    command = [sys.executable, FOLDER / "sample.py", "--run", finished_run, "--threads", "1"]
    command += ["--rounds", "2", "--only", "sampled", "--sides", "ours", "generate"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| 1 |")]
    assert [row.split("|")[2].strip() for row in rows] == [
        "ours, 64",
        "generate, 64, arrival",
        "generate, 64, by prompt",
    ]


@pytest.mark.slow
def test_a_server_is_measured_with_its_clients(benchmark, monkeypatch, capsys):
    sizes = ["--clients", "2", "--rounds", "1", "--requests", "3", "--max-tokens", "4"]
    arguments = ["serve.py", "--model", str(TINY_FOLDER), "--sides", "ours", *sizes]
    monkeypatch.setattr("sys.argv", arguments)
    benchmark("serve").main()
    row = capsys.readouterr().out.splitlines()[-1].split(" | ")
    assert row[0] == "| ours"
    assert row[-3:-1] == ["0", "100.0%"], "no errors"
