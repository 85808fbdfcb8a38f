"""A byte-level BPE tokenizer in GGUF: its tokens and merges, and llama.cpp's name for the rest.

llama.cpp has the rules that cut text before BPE compiled in, under names. Which name fits is told
from the rules in tokenizer.json, and proved on texts where llama.cpp is at hand (`gguf_probes`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from minireason.errors import ExportError, MissingError
from minireason.runfolder import read_json

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _TAIL
_QWEN2 = _LLAMA3.replace("{1,3}", "")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_TAIL}"
)

_NAMES = {
    ("byte-level words",): "gpt-2",
    ("digits", "byte-level words"): "smollm",
    (_LLAMA3, "byte-level"): "llama-bpe",
    (_QWEN2, "byte-level"): "qwen2",
    (_O200K, "byte-level"): "gpt-4o",
}
"""llama.cpp's name of each pre-tokenizer. `starcoder` cuts as `smollm` does, but llama.cpp takes
spaces out of the text that it decodes."""


@dataclass(frozen=True, slots=True)
class TokenizerKeys:
    """`stop_ids` end a response: first the one that ends a text, then the one that ends a turn."""

    pre: str
    tokens: list[str]
    types: list[TokenType]
    merges: list[str]
    bos_id: int | None
    pad_id: int | None
    stop_ids: tuple[int, ...]
    chat_template: str | None

    def add_to(self, writer: GGUFWriter) -> None:
        """The chat template writes what begins a text, so llama.cpp must not."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        writer.add_token_merges(self.merges)
        ends = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
        for add, token_id in zip(ends, self.stop_ids, strict=False):
            add(token_id)
        if self.bos_id is not None:
            writer.add_bos_token_id(self.bos_id)
        if self.pad_id is not None:
            writer.add_pad_token_id(self.pad_id)
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(False)
        if self.chat_template is not None:
            writer.add_chat_template(self.chat_template)


def read_tokenizer(folder: Path, vocab_size: int) -> TokenizerKeys:
    """Read tokenizer.json and what lies beside it.

    Raises ExportError for a tokenizer that llama.cpp has no rules for.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise MissingError(f"{folder} has no tokenizer.json; GGUF is written from a fast tokenizer")
    tokenizer = _json(path)
    config = _json(folder / "tokenizer_config.json")
    tokens, types = _vocabulary(tokenizer, vocab_size)
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    return TokenizerKeys(
        pre_tokenizer(tokenizer),
        tokens,
        types,
        [
            each if isinstance(each, str) else " ".join(each)
            for each in tokenizer["model"]["merges"]
        ],
        _id_of(config.get("bos_token"), ids),
        _id_of(config.get("pad_token"), ids),
        _stop_ids(folder, _id_of(config.get("eos_token"), ids)),
        _chat_template(folder, config),
    )


def pre_tokenizer(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name for how tokenizer.json cuts text into words.

    Raises ExportError where it has none.
    """
    model, normalizer = tokenizer["model"], tokenizer.get("normalizer") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise ExportError(
            "the tokenizer is no byte-level BPE (it looks like SentencePiece's); GGUF is written "
            "for byte-level ones: export the model as onnx or hf, or with llama.cpp's own converter"
        )
    if normalizer.get("type") not in (None, "NFC"):
        raise ExportError(
            f"the tokenizer changes text by {normalizer['type']} before it cuts it, which "
            "llama.cpp does not; export the model as onnx or hf"
        )
    steps = tuple(_step(each) or "unknown" for each in _flat(tokenizer.get("pre_tokenizer") or {}))
    name = _NAMES.get(steps)
    if name is None:
        raise ExportError(
            f"the tokenizer cuts text by {json.dumps(tokenizer.get('pre_tokenizer'))}, for which "
            "llama.cpp has no name that is known here; export the model as onnx or hf"
        )
    if name == "llama-bpe" and not model.get("ignore_merges"):
        return "smaug-bpe"  # the same words, without llama-bpe's short cut past the merges
    return name


def _flat(pre: dict[str, Any]) -> list[dict[str, Any]]:
    return list(pre["pretokenizers"]) if pre.get("type") == "Sequence" else [pre]


def _step(pre: dict[str, Any]) -> str | None:
    """One step of cutting: a regular expression, or a word for what is built in."""
    if pre.get("type") == "Digits" and pre["individual_digits"]:
        return "digits"
    if pre.get("type") == "ByteLevel" and not pre["add_prefix_space"]:
        return "byte-level words" if pre.get("use_regex", True) else "byte-level"
    if pre.get("type") == "Split":
        kept = (pre["behavior"], pre.get("invert", False))
        if kept in (("Isolated", False), ("Removed", True)):  # both keep what matches
            regex: str | None = pre["pattern"].get("Regex")
            return regex
    return None


def _vocabulary(tokenizer: dict[str, Any], vocab_size: int) -> tuple[list[str], list[TokenType]]:
    """Token and type of every row of the embedding; rows without a token are never sampled."""
    tokens = [f"[PAD{token_id}]" for token_id in range(vocab_size)]
    types = [TokenType.UNUSED] * vocab_size
    known = {token_id: token for token, token_id in tokenizer["model"]["vocab"].items()}
    added = {each["id"]: each for each in tokenizer["added_tokens"]}
    largest = max((*known, *added))
    if largest >= vocab_size:
        raise ExportError(f"the tokenizer has a token {largest} and the model {vocab_size} of them")
    for token_id, token in known.items():
        tokens[token_id], types[token_id] = token, TokenType.NORMAL
    for token_id, each in added.items():
        # llama.cpp takes this form for a mark, never for text, whatever the file says.
        is_mark = each["special"] or (each["content"][:2], each["content"][-2:]) == ("<|", "|>")
        tokens[token_id] = each["content"]
        types[token_id] = TokenType.CONTROL if is_mark else TokenType.USER_DEFINED
    if len(set(tokens)) < vocab_size:  # llama.cpp ends the process
        raise ExportError("the tokenizer has the same token twice, which llama.cpp cannot load")
    return tokens, types


def _stop_ids(folder: Path, eos_id: int | None) -> tuple[int, ...]:
    """The tokenizer's end of text, then the other ids that generation_config.json stops at."""
    given = _json(folder / "generation_config.json").get("eos_token_id")
    given = _json(folder / "config.json").get("eos_token_id") if given is None else given
    stops = given if isinstance(given, list) else [given]
    ids = tuple(dict.fromkeys(each for each in (eos_id, *stops) if each is not None))
    if len(ids) > 3:
        raise ExportError(f"the model stops at {len(ids)} tokens and GGUF has places for 3")
    return ids


def _chat_template(folder: Path, config: dict[str, Any]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template: str | None = config.get("chat_template")
    return template


def _id_of(token: Any, ids: dict[str, int]) -> int | None:
    """The id of a token that tokenizer_config.json names, by its text or with its properties."""
    return ids.get(token["content"] if isinstance(token, dict) else token)


def _json(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = read_json(path) if path.is_file() else {}
    return read
