"""What to try where an export loses too much, what gains the most for its size first.

Blocks: a scale is shared by the weights of a block, so a smaller block follows them more closely
and a larger one takes less room; what lowers the loss is a smaller block. docs/gate.md has what
each does to the tiny model. Which projection wants its bits most differs between models: the first
of `KEPT` is what the tiny model's rounding hurts most for its size.
"""

from __future__ import annotations

from typing import Any

from minireason.edge.manifest import Manifest

SMALLEST_BLOCK = 16
KEPT = ("qkv_proj", "lm_head", "down_proj")
LONG = {"questions": 3000, "steps": 1000}
"""A calibration that leaves the tiny model next to nothing to lose (docs/calibration.md)."""


def advice(manifest: Manifest, *, is_broken: bool) -> list[str]:
    """What to try for an export that failed; `is_broken` where it is no matter of rounding."""
    if is_broken:
        return [
            "rounding alone does not do this: export with --bits 32, and if that fails too, report "
            "the model's config as a defect of the export",
            *_finer(manifest),
        ]
    if manifest.bits >= 16:
        return ["weights of 16 bits or more do not lose this by rounding; report it as a defect"]
    return _finer(manifest)


def _finer(manifest: Manifest) -> list[str]:
    made = manifest.quantization.get("settings", manifest.quantization)
    tries = []
    if manifest.bits == 4 and manifest.format == "onnx":
        tries += _calibration(manifest.quantization.get("calibration"))
        if wanted := [name for name in KEPT if name not in made.get("keep_8bit", ())]:
            options = " ".join(f"--keep-8bit {name}" for name in wanted)
            tries.append(f"{options}: 8 bits where rounding hurts most")
        if (size := made.get("block_size", 32)) > SMALLEST_BLOCK:
            tries.append(
                f"--block-size {size // 2}: a scale for fewer weights follows them more closely"
            )
        if made.get("accuracy_level", 4) == 4:
            tries.append("--accuracy-level 1: activations stay float32 (slower, rarely the cause)")
        tries.append("--format gguf: Q4_K_M has more bits where they matter")
    if manifest.bits == 4:
        tries.append("--bits 8: about twice the size, and a small part of the loss")
    if manifest.bits == 8:
        more = 32 if manifest.format == "onnx" and manifest.target == "cpu" else 16
        tries.append(f"--bits {more}: next to no loss")
    return tries


def _calibration(done: dict[str, Any] | None) -> list[str]:
    """One by training, or a longer one; `done` is that of the export."""
    settings = (done or {}).get("settings", {})
    if settings.get("method") != "qat":
        return ["--calibrate qat: fit the weights to the rounding, at the same size"]
    length = {
        "questions": settings["rollouts"]["num_questions"],
        "steps": settings["training"]["num_steps"],
    }
    longer = [f"--calibration-{name} {most}" for name, most in LONG.items() if length[name] < most]
    return [f"{' '.join(longer)}: a longer calibration, at the same size"] if longer else []
