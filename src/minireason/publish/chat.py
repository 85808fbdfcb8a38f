"""Whether a folder's tokenizer makes the chat that its generation config stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from minireason.errors import MissingError
from minireason.model.chat import Chat


def check_chat(folder: Path) -> Iterator[str]:
    """A tokenizer with a chat template, no larger than the vocabulary; the chat's stop tokens."""
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # a broken tokenizer file raises whatever it likes
        yield f"the tokenizer cannot be loaded: {' '.join(str(error).split())[:300]}"
        return
    config = _json(folder / "config.json")
    if isinstance(size := config.get("vocab_size"), int) and len(tokenizer) > size:
        yield f"the tokenizer has {len(tokenizer):,} tokens and the model {size:,}"
    try:
        stop_ids = sorted(Chat(tokenizer).stop_ids)
    except MissingError as error:
        yield str(error)
        return
    eos = _json(folder / "generation_config.json").get("eos_token_id")
    found = sorted(eos) if isinstance(eos, list) else [] if eos is None else [eos]
    if found != stop_ids:
        yield (
            f"generation_config.json stops at the tokens {found} and the chat ends with "
            f"{stop_ids}; set its eos_token_id to {stop_ids}"
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
