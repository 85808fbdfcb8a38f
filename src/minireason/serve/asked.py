"""From the body of a request to what is sampled for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jinja2.exceptions import TemplateError

from minireason.errors import SamplingError
from minireason.inference.local import LocalBackend, fitted_request
from minireason.model.chat import Chat
from minireason.records import Message
from minireason.retrieval import Passage, Retriever
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.stepper import Stepper
from minireason.seeding import derive_seed
from minireason.serve.errors import ApiError
from minireason.serve.schema import ChatBody, CompletionBody, SamplingBody, StreamOptions

SETTINGS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "thinking_budget",
)


@dataclass(frozen=True, slots=True)
class Served:
    """A model as it is served; `max_length` bounds prompt plus response, in tokens.

    `system` is the system message of conversations that begin with none, empty for none;
    `starts_thinking` says that the chat template ends with the mark that begins the thinking;
    `retriever`, where there is one, puts passages before every question.
    """

    name: str
    chat: Chat
    open_stepper: Callable[[], Stepper]
    max_batch: int
    max_length: int
    starts_thinking: bool = False
    system: str = ""
    retriever: Retriever | None = None


def served_model(
    backend: LocalBackend,
    name: str = "",
    system: str = "",
    retriever: Retriever | None = None,
) -> Served:
    """The backend's model, under another name if one is given."""
    engine = backend.engine
    return Served(
        name or backend.name,
        backend.chat,
        engine.scheduler,
        engine.max_batch,
        engine.max_length,
        backend.starts_thinking(),
        system,
        retriever,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked for, `n` sequences a prompt, and how it wants to hear of them.

    `begun` is how the assistant's turn begins that is continued; None where no turn is asked for
    and thinking is not told from answer.
    """

    requests: list[Request]
    num_prompt_tokens: int
    begun: str | None
    has_logprobs: bool
    has_token_ids: bool = False
    is_streamed: bool = False
    includes_usage: bool = False
    has_running_usage: bool = False
    passages: Sequence[Passage] = ()

    @property
    def stops(self) -> tuple[str, ...]:
        return self.requests[0].params.stop


def chat_asked(body: ChatBody, served: Served) -> Asked:
    """Raises ApiError for a conversation that cannot be answered."""
    messages = [message.plain() for message in body.messages]
    begun = messages.pop()["content"] if body.continue_final_message else ""
    if served.system and (not messages or messages[0]["role"] != "system"):
        messages.insert(0, {"role": "system", "content": served.system})
    if not messages:
        raise ApiError(400, "there is no message before the one to continue", param="messages")
    try:
        prompt_ids, passages = _prompt(messages, served)
        prompt_ids += served.chat.ids(begun)
    except TemplateError as error:
        message = f"the model's chat template refuses these messages: {error}"
        raise ApiError(400, message, param="messages") from error
    requests = _requests(body, [prompt_ids], served, "messages")
    return Asked(
        requests,
        len(prompt_ids),
        begun,
        bool(body.logprobs),
        is_streamed=bool(body.stream),
        includes_usage=_streams(body).include_usage,
        has_running_usage=_streams(body).continuous_usage_stats,
        passages=passages,
    )


def _prompt(messages: list[Message], served: Served) -> tuple[list[int], Sequence[Passage]]:
    """The prompt's token ids, with as many passages as leave half of the context free."""
    if served.retriever is None:
        return served.chat.prompt_ids(messages), []

    def num_tokens(told: Sequence[Message]) -> int:
        return len(served.chat.prompt_ids(told))

    told, passages = served.retriever.grounded(
        messages, num_tokens=num_tokens, context=served.max_length
    )
    return served.chat.prompt_ids(told), passages


def completion_asked(body: CompletionBody, served: Served) -> Asked:
    """Raises ApiError for a prompt that cannot be completed."""
    prompts = _prompts(body, served.chat)
    return Asked(
        _requests(body, prompts, served, "prompt"),
        sum(map(len, prompts)),
        None,
        body.logprobs is not None,
        bool(body.return_token_ids),
        bool(body.stream),
        _streams(body).include_usage,
        _streams(body).continuous_usage_stats,
    )


def _prompts(body: CompletionBody, chat: Chat) -> list[list[int]]:
    prompt = body.prompt
    if isinstance(prompt, str):
        return [chat.ids(prompt)]
    if not prompt:
        raise ApiError(400, "prompt is empty", param="prompt")
    if isinstance(prompt[0], int):
        return [[token for token in prompt if isinstance(token, int)]]
    return [chat.ids(one) if isinstance(one, str) else list(one) for one in prompt]


def _requests(
    body: SamplingBody, prompts: list[list[int]], served: Served, field: str
) -> list[Request]:
    """`n` sequences a prompt, the first with the seed itself."""
    seed = secrets.randbits(63) if body.seed is None else body.seed
    params = _params(body, seed, served.max_length)
    requests: list[Request] = []
    for prompt_ids in prompts:
        try:
            request = fitted_request(prompt_ids, params, served.max_length)
        except SamplingError as error:
            raise ApiError(400, str(error), param=field, code="context_length_exceeded") from error
        for index in range(body.n or 1):
            own = derive_seed("choice", seed, index) if index else seed
            requests.append(Request(prompt_ids, replace(request.params, seed=own)))
    return requests


def _params(body: SamplingBody, seed: int, max_length: int) -> SamplingParams:
    given = {name: value for name in SETTINGS if (value := getattr(body, name)) is not None}
    max_tokens = body.most_tokens or max_length
    try:
        return SamplingParams(**given, max_tokens=max_tokens, stop=body.stops, seed=seed)
    except SamplingError as error:
        raise ApiError(400, str(error), param=str(error).split()[0]) from error


def _streams(body: SamplingBody) -> StreamOptions:
    return body.stream_options or StreamOptions()
