"""Speed, share of the peak (MFU) and memory of training at full size on one CUDA device.

    python benchmarks/train_gpu.py [--case ...] [--steps 6] [--out table.md]
    python benchmarks/train_gpu.py --dry-run-cpu

A Markdown table: Phi-4-mini's 3.8B configuration and the shape of Qwen3-0.6B, random weights, rows
of 16,384 random tokens, bfloat16 products over float32 weights and AdamW, through the `train` of
every stage; SFT's row is one sequence, DPO's a pair of two of 8,192 with the reference's
log-probabilities made beforehand. TRL does the same SFT beside it where it is installed, with
flash-attn if that is there. Each case is a process of its own; what does not fit says so. MFU
counts what `model/flops.py` says, for both. For comparison, prime-rl publishes 25.5K tokens/s,
23.7 % MFU and 52.8 GiB for Qwen3-0.6B at 16K on one H100. The dry run is the same code at a tiny
size on a CPU; the full size has not been run on a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers import PretrainedConfig, Qwen3Config

from minireason.errors import MinireasonError
from minireason.model.attention import ATTENTION
from minireason.model.devices import peak_flops, peak_memory_gib
from minireason.model.flops import flop_cost
from minireason.model.phi4_mini import phi4_mini_config
from minireason.model.precision import compute_in_bfloat16
from minireason.model.rope import pin_rope, share_frequencies
from minireason.train.data import Layout, PackedData
from minireason.train.forward import score_units
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives import Objective
from minireason.train.objectives.next_token import NextToken
from minireason.train.objectives.preference import LOSSES, Preference
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import TokenSequence, Unit
from minireason.train.parallel import Parallelism

ROW = 16_384
WARMUP = 2
SETTINGS = OptimizerSettings(1e-5, 0.0, 0.9, 0.95, 1.0, 0.0, "constant", checkpoint_every=10**9)
TINY = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Case:
    """One row of the table; `rows` of `ROW` tokens a step, one at a time."""

    shape: Literal["phi-4-mini", "qwen3-0.6b"]
    task: Literal["sft", "dpo"]
    side: Literal["ours", "trl"]
    checkpointing: Literal["none", "selective", "full"]
    rows: int = 2


CASES = [
    Case("phi-4-mini", "sft", "ours", "full"),
    Case("phi-4-mini", "sft", "ours", "selective"),
    Case("phi-4-mini", "sft", "trl", "full"),
    Case("phi-4-mini", "dpo", "ours", "full"),
    Case("qwen3-0.6b", "sft", "ours", "full"),
    Case("qwen3-0.6b", "sft", "ours", "selective"),
    Case("qwen3-0.6b", "sft", "ours", "none"),
    Case("qwen3-0.6b", "sft", "trl", "full"),
    Case("qwen3-0.6b", "sft", "trl", "none"),
    Case("qwen3-0.6b", "dpo", "ours", "full"),
]
HEAD = """| shape | task | side | recomputed activations | tokens/s | MFU | peak GiB |
|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", type=int, nargs="+", default=range(len(CASES)), help="numbers")
    parser.add_argument("--steps", type=int, default=6, help="that are timed")
    parser.add_argument("--out", type=Path, help="also write the table here")
    parser.add_argument("--dry-run-cpu", action="store_true", help="a tiny size, on the CPU")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.dry_run_cpu and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device; use --dry-run-cpu to try the code without one")
    device = "cpu" if arguments.dry_run_cpu else "cuda"
    if arguments.child is not None:
        print(json.dumps(measure(CASES[arguments.child], device, arguments.steps)))
        return
    name = platform.processor() or "CPU" if device == "cpu" else torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    lines = [f"{date.today()}, {name}, {versions}", "", HEAD]
    print("\n".join(lines), flush=True)
    for number in arguments.case:
        lines.append(line(CASES[number], in_its_own_process(number, arguments)))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def in_its_own_process(number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", str(number), "--steps", str(arguments.steps)]
    command += ["--dry-run-cpu"] if arguments.dry_run_cpu else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{CASES[number]} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(case: Case, found: dict[str, Any]) -> str:
    cells = [case.shape, case.task, case.side, case.checkpointing]
    if "skipped" in found:
        return f"| {' | '.join(cells)} | {found['skipped']} | | |"
    mfu = "unknown peak" if found["mfu"] is None else f"{100 * found['mfu']:.1f} %"
    return f"| {' | '.join(cells)} | {found['rate']:,.0f} | {mfu} | {found['memory']:.1f} |"


def measure(case: Case, device: str, num_steps: int) -> dict[str, Any]:
    """Tokens a second and MFU of the median step, and the most memory that tensors took."""
    if case.side == "trl" and importlib.util.find_spec("trl") is None:
        return {"skipped": "TRL is not installed"}
    length = ROW if device == "cuda" else 64
    config = configuration(case, length, is_tiny=device == "cpu")
    try:
        run = ours if case.side == "ours" else theirs
        seconds = run(case, config, device, length, WARMUP + num_steps)[WARMUP:]
    except (torch.OutOfMemoryError, MinireasonError) as error:
        if "out of memory" not in str(error):
            raise
        return {"skipped": "does not fit"}
    typical_s = statistics.median(seconds)
    with torch.device("meta"):
        cost = flop_cost(model_of(config, ATTENTION))
    lengths = [length] * case.rows if case.task == "sft" else [length // 2] * 2 * case.rows
    peak = peak_flops(device)
    flops = cost.training(lengths, sum(lengths) - len(lengths))
    return {
        "rate": case.rows * length / typical_s,
        "mfu": flops / typical_s / peak if peak else None,
        "memory": peak_memory_gib(device)["peak_memory_gib"],
    }


def configuration(case: Case, length: int, *, is_tiny: bool) -> PretrainedConfig:
    """The published shape, or a tiny one of the same kind."""
    config: Any = phi4_mini_config() if case.shape == "phi-4-mini" else qwen3_config()
    if is_tiny:
        for name, value in TINY.items():
            setattr(config, name, value)
        config.head_dim = 16
        config.bos_token_id = config.eos_token_id = config.pad_token_id = 0
        if case.shape == "phi-4-mini":
            for factors in ("short_factor", "long_factor"):
                config.rope_parameters[factors] = config.rope_parameters[factors][:6]
    config.use_cache = False
    pin_rope(config, context=length)
    return config


def qwen3_config() -> Qwen3Config:
    """Qwen3-0.6B, from its published config.json."""
    return Qwen3Config(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40_960,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
    )


def model_of(config: PretrainedConfig, attention: str) -> Any:
    return transformers.AutoModelForCausalLM.from_config(
        config, attn_implementation=attention, dtype=torch.float32
    )


def units(case: Case, vocab_size: int, length: int, num_steps: int) -> list[Unit]:
    """Random tokens: a sequence, or a pair of half the length each, for each row."""
    generator = torch.Generator().manual_seed(0)
    each = length if case.task == "sft" else length // 2
    shape = (num_steps * case.rows, length // each, each)
    ids = torch.randint(1, vocab_size, shape, generator=generator).tolist()
    return [[TokenSequence(row, each - 1) for row in unit] for unit in ids]


def ours(
    case: Case, config: PretrainedConfig, device: str, length: int, num_steps: int
) -> list[float]:
    """Seconds of each step."""
    torch.manual_seed(0)
    with torch.device(device):
        model = model_of(config, ATTENTION)
    share_frequencies(model)
    if device == "cuda":
        compute_in_bfloat16(model)
    rows = units(case, config.vocab_size, length, num_steps)
    objective: Objective = NextToken()
    if case.task == "dpo":
        rows, objective = referenced(model, rows, length), Preference(LOSSES["dpo"], 0.1)
    layout = Layout(length, case.rows, 1, packing="none", epochs=1, max_steps=num_steps)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    recomputing = Parallelism(activation_checkpointing=case.checkpointing)
    learner = Learner(model, SETTINGS, parallelism=recomputing, dtype=dtype)
    seconds: list[float] = []
    watcher = Watcher(lambda _, __, ___, timing: seconds.append(timing["elapsed_s"]))
    with tempfile.TemporaryDirectory() as folder:
        train(learner, PackedData(rows, layout, seed=0), objective, Path(folder), watcher)
    return seconds


def referenced(model: Any, pairs: list[Unit], length: int) -> list[Unit]:
    scored = score_units(model, pairs, length, 1)
    return [
        [replace(s, values={"reference_logprobs": v}) for s, v in zip(pair, both, strict=True)]
        for pair, both in zip(pairs, scored, strict=True)
    ]


def theirs(
    case: Case, config: PretrainedConfig, device: str, length: int, num_steps: int
) -> list[float]:
    """Seconds of each step of TRL's SFTTrainer on the same rows."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from minireason.model.load import load_model

    has_flash = device == "cuda" and importlib.util.find_spec("flash_attn") is not None
    ends: list[float] = []

    class Ticking(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if device == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            folder,
            use_cpu=device == "cpu",
            bf16=device == "cuda",
            per_device_train_batch_size=1,
            gradient_accumulation_steps=case.rows,
            gradient_checkpointing=case.checkpointing == "full",
            max_length=length,
            max_steps=num_steps,
            learning_rate=SETTINGS.learning_rate,
            optim="adamw_torch_fused",
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        rows = units(case, config.vocab_size, length, num_steps)
        trainer = SFTTrainer(
            model_of(config, "flash_attention_2" if has_flash else "sdpa"),
            args=arguments,
            train_dataset=Dataset.from_dict({"input_ids": [unit[0].ids for unit in rows]}),
            processing_class=load_model("tiny").tokenizer,
            callbacks=[Ticking()],
        )
        started = time.perf_counter()
        trainer.train()
    return [end - begin for begin, end in zip([started, *ends], ends, strict=False)]


if __name__ == "__main__":
    main()
