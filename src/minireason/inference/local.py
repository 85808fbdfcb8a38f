"""An engine of this machine as a backend: messages in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from jinja2.exceptions import TemplateError

from minireason.errors import PromptTooLongError, SamplingError
from minireason.inference.backend import OnResponse, Piece, Response, Turn
from minireason.inference.text import TextStream
from minireason.marks import THINK_BEGIN
from minireason.model.chat import Chat
from minireason.rollout.request import Completion, Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.stepper import SteppedEngine


def fitted_request(prompt_ids: list[int], params: SamplingParams, max_length: int) -> Request:
    """The request with `max_tokens` lowered to what the context has left.

    Raises PromptTooLongError where the prompt leaves no room.
    """
    room = max_length - len(prompt_ids)
    if room < 1:
        raise PromptTooLongError(
            f"the conversation is {len(prompt_ids)} tokens long and the context {max_length}; "
            "shorten it, or begin a new one"
        )
    max_tokens = min(params.max_tokens, room)
    min_tokens = min(params.min_tokens, max_tokens)
    return Request(prompt_ids, replace(params, max_tokens=max_tokens, min_tokens=min_tokens))


class LocalBackend:
    """Answers with the embedded engine or an exported model's, many turns at a time.

    `max_tokens` of a turn is lowered to what the context has left behind its prompt.
    """

    def __init__(self, engine: SteppedEngine, chat: Chat, name: str) -> None:
        self.engine, self.chat, self.name = engine, chat, name
        self.max_length = engine.max_length

    def respond(
        self, turns: Sequence[Turn], on_response: OnResponse | None = None
    ) -> list[Response]:
        """The responses in the turns' order."""
        requests = [self.request(turn) for turn in turns]
        responses: dict[int, Response] = {}

        def finish(index: int, completion: Completion) -> None:
            responses[index] = self._response(turns[index], requests[index], completion)
            if on_response is not None:
                on_response(index, responses[index])

        self.engine.generate(requests, finish)
        return [responses[index] for index in range(len(turns))]

    def stream(self, turn: Turn) -> Iterator[Piece]:
        """The response as it comes."""
        request = self.request(turn)
        events = self.engine.stream(request)

        def pieces() -> Iterator[Piece]:
            text = TextStream(self.chat.decode, turn.params.stop)
            for event in events:
                if piece := text.push(event.token_id):
                    yield Piece(piece)
                if event.completion is not None:
                    response = self._response(turn, request, event.completion)
                    yield Piece(text.finish(), response)

        return pieces()

    def starts_thinking(self) -> bool:
        """Whether the chat template ends with the mark that begins the thinking."""
        ids = self.chat.prompt_ids([{"role": "user", "content": "?"}])
        text = self.chat.tokenizer.decode(ids)
        assert isinstance(text, str)
        return text.rstrip().endswith(THINK_BEGIN)

    def request(self, turn: Turn) -> Request:
        """The turn as token ids.

        Raises SamplingError where its prompt leaves no room, or the chat template refuses it.
        """
        return fitted_request(self.prompt_ids(turn), turn.params, self.engine.max_length)

    def prompt_ids(self, turn: Turn) -> list[int]:
        """Those of the turn's prompt. Raises SamplingError where the chat template refuses it."""
        try:
            return self.chat.prompt_ids(turn.messages) + self.chat.ids(turn.begun)
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in turn.messages)
            raise SamplingError(
                f"the model's chat template refuses messages of {roles}: {error}"
            ) from error

    def _response(self, turn: Turn, request: Request, completion: Completion) -> Response:
        text = TextStream(self.chat.decode, turn.params.stop)
        shown = text.push(*completion.token_ids) + text.finish()
        return Response(
            shown,
            completion.finish_reason,
            len(completion.token_ids),
            len(request.prompt_ids),
            sum(completion.raw_logprobs) if completion.raw_logprobs else None,
        )
