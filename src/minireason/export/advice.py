"""What to try where an export loses too much, the cheapest first.

Blocks: a scale is shared by the weights of a block, so a smaller block follows them more closely
and a larger one takes less room. Advice that lowers the loss is therefore a smaller block.
"""

from __future__ import annotations

from minireason.edge.manifest import Manifest

SMALLEST_BLOCK = 16


def advice(manifest: Manifest, *, is_broken: bool) -> list[str]:
    """What to try for an export that failed; `is_broken` where it is no matter of rounding."""
    if is_broken:
        return [
            "rounding alone does not do this: export with --bits 16 or 32, and if that fails too, "
            "report the model's config as a defect of the export",
            *_finer(manifest),
        ]
    if manifest.bits >= 16:
        return ["weights of 16 bits or more do not lose this by rounding; report it as a defect"]
    return _finer(manifest)


def _finer(manifest: Manifest) -> list[str]:
    made = manifest.quantization.get("settings", manifest.quantization)
    tries = []
    if manifest.bits == 4 and manifest.format == "onnx":
        if "down_proj" not in made.get("keep_8bit", ()):
            tries.append(
                "--keep-8bit down_proj: its inputs have the widest range, so rounding hurts most"
            )
        if (size := made.get("block_size", 32)) > SMALLEST_BLOCK:
            tries.append(
                f"--block-size {size // 2}: a scale for fewer weights follows them more closely "
                f"(larger blocks are smaller files and lose more)"
            )
        if made.get("accuracy_level", 4) == 4:
            tries.append("--accuracy-level 1: activations stay float32 inside products (slower)")
    if manifest.bits == 4:
        tries.append("calibration: fit the rounding to the model's own correct rollouts")
        tries.append("--bits 8: about twice the size, and a small part of the loss")
    if manifest.bits == 8:
        tries.append("--bits 16: twice the size, and next to no loss")
    return tries
