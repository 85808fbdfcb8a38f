"""What to try where an export loses too much, what gains the most for its size first.

Blocks: a scale is shared by the weights of a block, so a smaller block follows them more closely
and a larger one takes less room; what lowers the loss is a smaller block. Of the tiny model's int4
(KL 0.0178 nats a token), measured by the gate: blocks of 16 leave 0.0140, `down_proj` at 8 bits
0.0155, with `lm_head` 0.0124, `--accuracy-level 1` 0.0178.
"""

from __future__ import annotations

from minireason.edge.manifest import Manifest

SMALLEST_BLOCK = 16


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
        kept, size = made.get("keep_8bit", ()), made.get("block_size", 32)
        if "down_proj" not in kept:
            tries.append("--keep-8bit down_proj: its inputs have the widest range")
        if size > SMALLEST_BLOCK:
            tries.append(
                f"--block-size {size // 2}: a scale for fewer weights follows them more closely"
            )
        if "lm_head" not in kept:
            tries.append("--keep-8bit lm_head: it has the last word on every token")
        if made.get("accuracy_level", 4) == 4:
            tries.append("--accuracy-level 1: activations stay float32 (slower, rarely the cause)")
    if manifest.bits == 4:
        tries.append("calibration: fit the rounding to the model's own correct rollouts")
        if manifest.format == "onnx":
            tries.append("--format gguf: Q4_K_M has more bits where they matter")
        tries.append("--bits 8: about twice the size, and a small part of the loss")
    if manifest.bits == 8:
        more = 32 if manifest.format == "onnx" and manifest.target == "cpu" else 16
        tries.append(f"--bits {more}: next to no loss")
    return tries
