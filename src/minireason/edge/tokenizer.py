"""A tokenizer and its chat template without transformers, which would import torch.

Renders as transformers does (https://huggingface.co/docs/transformers/chat_templating): a sandbox,
trimmed blocks, `raise_exception`, `strftime_now`, `tojson` that escapes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Tokenizer

from minireason.errors import MissingError
from minireason.records import Message
from minireason.runfolder import read_json

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class FolderTokenizer:
    """What `model.chat.Chat` asks of a tokenizer, read from an exported folder.

    Raises MissingError where the folder has no tokenizer.json that can be read.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises no narrower class
            raise MissingError(f"cannot read {path}: {error}; export the model again") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        config = folder / "tokenizer_config.json"
        self._config: dict[str, Any] = read_json(config) if config.is_file() else {}
        template = folder / "chat_template.jinja"
        self.chat_template = (
            template.read_text(encoding="utf-8")
            if template.is_file()
            else self._config.get("chat_template")
        )

    @cached_property
    def special_tokens_map(self) -> dict[str, str]:
        """The texts of the special tokens by their names, as the chat template knows them."""
        named = ((name, self._config.get(name)) for name in NAMED)
        return {name: _text(token) for name, token in named if token is not None}

    @property
    def eos_token_id(self) -> int | None:
        text = self.special_tokens_map.get("eos_token")
        return None if text is None else self._tokenizer.token_to_id(text)

    @property
    def all_special_ids(self) -> list[int]:
        ids = map(self._tokenizer.token_to_id, self.special_tokens_map.values())
        return [token_id for token_id in ids if token_id is not None]

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return self._tokenizer.get_added_tokens_decoder()

    def encode(self, text: str, **_options: object) -> list[int]:
        """Token ids of a text, without special tokens around it."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)

    def apply_chat_template(
        self, messages: Sequence[Message], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        """The conversation as text. Raises jinja2's TemplateError where the template refuses it."""
        assert not tokenize
        return self._template.render(
            messages=list(messages),
            tools=None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **self.special_tokens_map,
        )

    @cached_property
    def _template(self) -> Template:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        return environment.from_string(self.chat_template or "")


class _Generation(Extension):
    """`{% generation %}` marks what an assistant says, for training: here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

    def parse(self, parser: Parser) -> Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_plain"), [], [], body).set_lineno(line)

    def _plain(self, caller: Any) -> str:
        return str(caller())


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _text(token: Any) -> str:
    """A special token is a text, or a table with its content."""
    return str(token["content"] if isinstance(token, dict) else token)
