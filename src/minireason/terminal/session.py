"""A conversation with a model: asks, shows, keeps. It knows no terminal and no commands."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from minireason.errors import SamplingError
from minireason.inference.backend import Backend, Piece, Response, Turn
from minireason.inference.budget import stream_within
from minireason.inference.local import LocalBackend
from minireason.inference.thinking import Part, ThinkingSplitter, joined
from minireason.records import Message
from minireason.retrieval import Passage, Retriever, cited
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.terminal.history import STOPPED, Answer, History
from minireason.terminal.view import Thinking, View

NEARLY_FULL = 0.8
SHOWN = 100  # characters of a passage


class Session:
    """Answers questions in a conversation.

    The answers follow from `params.seed`, the place in the conversation and the try. Its
    `thinking_budget` is kept by `inference.budget`. A `retriever` puts passages before every
    question, and what an answer cites of them is said under it.
    """

    def __init__(
        self,
        backend: Backend,
        view: View,
        params: SamplingParams,
        system: str = "",
        retriever: Retriever | None = None,
    ) -> None:
        self.backend, self.view, self.params = backend, view, params
        self.retriever = retriever
        self._passages: list[Passage] = []
        self.history = History(system)
        self.thinking: Thinking = "show"
        self._is_inside = backend.starts_thinking()
        self._failed = ""  # the question that got no answer
        self._num_tries = 0

    def ask(self, question: str) -> None:
        """Answer a question, show it as it comes, and keep both; errors are said in the view.

        Ctrl-C ends the answer and keeps what came. A question that fails is kept for `retry`.
        """
        self._num_tries = 0
        self._ask(question)

    def retry(self) -> bool:
        """Answer the last question anew, with other random numbers; False where there is none."""
        question = self._failed or self.history.take_back()
        if not question:
            return False
        self._num_tries += 1
        self._ask(question)
        return True

    def answer(self, question: str) -> Answer:
        """As `ask`, but raises SamplingError."""
        self._failed = ""
        self.history.ask(question)
        try:
            answer, response = self._answer()
        except (SamplingError, KeyboardInterrupt):  # Ctrl-C before or behind the sampling
            self._failed = self.history.take_back()
            raise
        self.history.answer(answer)
        self._remark(answer, response)
        return answer

    def _ask(self, question: str) -> None:
        try:
            self.answer(question)
        except SamplingError as error:
            self.view.say(f"{error} (/retry asks again)")

    def _answer(self) -> tuple[Answer, Response | None]:
        parts: list[Part] = []
        splitter = ThinkingSplitter(self._is_inside)
        response, reason = None, STOPPED
        pieces = self._pieces()
        try:
            with self.view.response(self.thinking) as show:
                for piece in pieces:
                    response = piece.response or response
                    for part in splitter.push(piece.text):
                        parts.append(part)
                        show(part)
                for part in splitter.finish():
                    parts.append(part)
                    show(part)
            reason = response.finish_reason if response else STOPPED
        except KeyboardInterrupt:
            pass
        finally:
            if isinstance(pieces, Generator):
                pieces.close()
        thinking, text = joined(parts)
        return Answer(text.strip(), thinking.strip(), reason), response

    def _pieces(self) -> Iterator[Piece]:
        seed = derive_seed(self.params.seed, len(self.history.exchanges), self._num_tries)
        params = replace(self.params, seed=seed, thinking_budget=0)
        messages = self.history.messages()
        if self.retriever is not None:
            messages, self._passages = self.retriever.grounded(
                messages, num_tokens=self._counter(params), context=self.backend.max_length
            )
        turn = Turn(messages, params)
        return stream_within(self.backend, turn, self.params.thinking_budget)

    def _counter(self, params: SamplingParams) -> Callable[[Sequence[Message]], int] | None:
        """Counts the tokens of a conversation, where the backend can: a server cannot."""
        backend = self.backend
        if not isinstance(backend, LocalBackend):
            return None
        return lambda messages: len(backend.prompt_ids(Turn(messages, params)))

    def _remark(self, answer: Answer, response: Response | None) -> None:
        """What the user should know of the answer: what it cites, how it ended, what is left."""
        for citation in cited(answer.text, self._passages):
            text = textwrap.shorten(citation.text, SHOWN, placeholder=" ...")
            self.view.say(f"[{citation.number}] {citation.source}:{citation.line}: {text}")
        if answer.finish_reason == STOPPED:
            self.view.say("stopped; what came is kept (/undo takes it back, /retry asks again)")
        if response is None:
            return
        longest = self.backend.max_length
        num_all = response.num_prompt_tokens + response.num_tokens
        if answer.finish_reason == "length":
            is_full = longest and num_all >= longest
            limit = f"the context of {longest}" if is_full else "/max-tokens"
            self.view.say(f"cut off after {response.num_tokens} tokens by {limit}")
        share = len(answer.text) / max(1, len(answer.text) + len(answer.thinking))
        num_kept = response.num_prompt_tokens + round(response.num_tokens * share)
        if longest and num_kept >= NEARLY_FULL * longest:
            self.view.say(
                f"the conversation fills about {num_kept} of the context's {longest} tokens; "
                "/undo takes back the last exchange, /clear begins anew"
            )
