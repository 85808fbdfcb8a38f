"""`settings.json`: with what an evaluation was made, and what may not change under it.

A folder can take further benchmarks later, with the same model and sampling. Of what a benchmark
was made with, the versions, the device and the speed settings are recorded and not compared: a
finished one is not made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minireason.errors import RunFolderError
from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.sampling import Sampling
from minireason.evaluate.scorer import Scorer
from minireason.runfolder import file_hash, read_json, write_json

SETTINGS = "settings.json"
WEIGHTS = (
    *("*.safetensors", "config.json", "generation_config.json", "tokenizer*", "*.jinja"),
    *("*.onnx", "*.onnx.data", "genai_config.json", "*.gguf"),
)
RECORDED = "made_with"


def open_settings(
    folder: Path,
    model: Mapping[str, Any],
    sampling: Mapping[str, Any],
    benchmarks: Mapping[str, Mapping[str, Any]],
    scorer: Scorer | None = None,
) -> dict[str, Any]:
    """Write or extend the settings of the folder; return what they are now.

    A scorer can be added later too: it changes no sample. Raises RunFolderError, naming old and
    new value, where the folder was made with others.
    """
    wanted = json.loads(json.dumps({"model": model, "sampling": sampling}))
    path = folder / SETTINGS
    made = read_json(path) if path.is_file() else {**wanted, "benchmarks": {}}
    if scorer is not None:
        made.setdefault("score", {"name": scorer.name, "code": scorer.code})
    if "score" in made:
        wanted["score"] = {"name": scorer.name, "code": scorer.code} if scorer else {}
    added = json.loads(json.dumps(benchmarks))
    changes = [
        *_changes("", {name: made.get(name, {}) for name in wanted}, wanted),
        *(
            change
            for label in made["benchmarks"].keys() & added.keys()
            for change in _changes(
                label, _compared(made["benchmarks"][label]), _compared(added[label])
            )
        ),
    ]
    if changes:
        raise RunFolderError(
            f"{folder} was evaluated with other settings: {'; '.join(sorted(changes)[:5])}. Use "
            f"another --out, put the old value back, or delete the folder to redo it"
        )
    made["benchmarks"] |= {k: v for k, v in added.items() if k not in made["benchmarks"]}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, made)
    return made


def sampling_settings(sampling: Sampling, prompt: str) -> dict[str, Any]:
    """What the samples depend on besides model and question."""
    params = sampling.params
    return {
        "samples": sampling.num_samples,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "max_tokens": params.max_tokens,
        "seed": params.seed,
        "prompt": prompt,
        "system_prompt": sampling.system_prompt,
    }


def benchmark_settings(
    asked: Asked, sampling: Sampling, made_with: Mapping[str, Any]
) -> dict[str, Any]:
    """What is asked of one benchmark, the questions by their hash."""
    rows = [[q.id, q.text, q.answer, q.answer_kind] for q in asked.questions]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {
        "num_questions": len(asked.questions),
        "num_all": asked.num_all,
        "prompt": asked.prompt,
        "questions": digest,
        "responses": "letters" if asked.is_withheld and not sampling.keeps_withheld else "whole",
        RECORDED: dict(made_with),
    }


def weights_hash(folder: Path) -> str:
    """Hash of what a model folder answers with: weights, config, tokenizer, chat template."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in WEIGHTS for path in folder.glob(pattern)}):
        digest.update(f"{path.name} {file_hash(path)}\n".encode())
    return digest.hexdigest()


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != RECORDED}


def _changes(where: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        return [
            change
            for name in names
            for change in _changes(f"{where}.{name}".strip("."), old.get(name), new.get(name))
        ]
    return [] if old == new else [f"{where} was {old!r:.60}, is now {new!r:.60}"]
