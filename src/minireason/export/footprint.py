"""What a model costs on this machine: size, load time, first token, tokens a second, memory.

Each is measured in a process of its own (`timed.py`), so that nothing else that was loaded counts.
The original runs under transformers in float32, an export in its own runtime; both are fed the same
prompt and then the same tokens, one at a time, on as many threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from minireason.edge.runtime import available_cpus
from minireason.export.agreement import BrokenError
from minireason.runfolder import read_json

WEIGHTS = ("*.safetensors", "*.bin", "*.onnx", "*.onnx.data", "*.gguf")
Runs = Literal["runtime", "transformers"]


class Footprint(BaseModel):
    """`load_s` is what a user waits for: importing the runtime and opening the model.

    `first_token_s` runs from the prompt of `num_prompt` tokens to the first token, and
    `tokens_per_s` is that of the next `num_timed`, one sequence at a time: medians of `num_rounds`
    after one that is not counted. `peak_bytes` is the most memory resident in the process.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    weight_bytes: int
    folder_bytes: int
    load_s: float
    first_token_s: float
    tokens_per_s: float
    peak_bytes: int
    num_prompt: int
    num_timed: int
    num_rounds: int
    threads: int


@dataclass(frozen=True, slots=True)
class Task:
    """What the process is to do: prompt, then tokens, so many rounds; see `timed.py`."""

    folder: str
    runs: Runs
    prompt_ids: Sequence[int]
    token_ids: Sequence[int]
    num_rounds: int
    threads: int


def measure_footprint(
    folder: Path,
    runs: Runs,
    ids: Sequence[int],
    *,
    num_prompt: int,
    num_rounds: int = 5,
    threads: int = 0,
) -> Footprint:
    """Measure a model folder: `ids` are the prompt of `num_prompt` tokens and what is fed after it.

    `threads` 0 is one for each CPU that this process may use. Raises BrokenError with the last
    words of the process where it fails, killed by a signal among others.
    """
    threads = threads or available_cpus()
    ids = [int(token) for token in ids]
    task = Task(str(folder), runs, ids[:num_prompt], ids[num_prompt:], num_rounds, threads)
    found = _run(task)
    return Footprint(
        weight_bytes=weight_bytes(folder),
        folder_bytes=_size(folder, "*"),
        num_prompt=len(task.prompt_ids),
        num_timed=len(task.token_ids),
        num_rounds=num_rounds,
        threads=threads,
        **found,
    )


def weight_bytes(folder: Path) -> int:
    """Bytes of the files that hold a model's weights."""
    return _size(folder, *WEIGHTS)


def _run(task: Task) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "task.json"), Path(folder, "found.json")
        asked.write_text(json.dumps(asdict(task)), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "minireason.export.timed", str(asked), str(answered)],
            env=os.environ | {"OMP_NUM_THREADS": str(task.threads)},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode or not answered.is_file():
            said = done.stderr.strip().splitlines()
            why = f"signal {-done.returncode}" if done.returncode < 0 else (said or ["?"])[-1]
            raise BrokenError(f"{task.folder} does not run in a process of its own: {why:.400}")
        found: dict[str, Any] = read_json(answered)
        return found


def _size(folder: Path, *patterns: str) -> int:
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sum(path.stat().st_size for path in files)
