"""A step's groups: prompts drawn, responses sampled and rewarded, hard prompts sampled on.

Seeds derive from the step, the prompt's place in it and the response's index, so neither who
samples a response nor what else is sampled changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minireason.errors import DataError, SamplingError
from minireason.model.chat import Chat
from minireason.recipe.reinforcement import Rlvr
from minireason.records import Group, Prompt
from minireason.rl.rewarder import Rewarded, Rewarder
from minireason.rl.rewards import Response
from minireason.rollout.crew import even_parts
from minireason.rollout.request import Completion, Request, Sampler
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.world import World

Answered = tuple[Completion, Rewarded]


@dataclass(frozen=True, slots=True)
class Referee:
    """Reads responses and has them judged; one sampler at a time may ask it."""

    chat: Chat
    rewarder: Rewarder

    @property
    def reward_names(self) -> list[str]:
        return list(self.rewarder.weights)

    def response(self, prompt: Prompt, completion: Completion, max_tokens: int) -> Response:
        """What is to be judged; it could have had `max_tokens`."""
        return Response(
            question=prompt.prompt[-1]["content"],
            answer=prompt.answer,
            answer_kind=prompt.answer_kind,
            text=self.chat.decode(completion.token_ids),
            num_tokens=len(completion.token_ids),
            finish_reason=completion.finish_reason,
            max_tokens=max_tokens,
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """`count` responses to a prompt from number `first` on; `place` is the prompt's in the step."""

    place: int
    prompt: Prompt
    first: int
    count: int


class GroupSampler:
    """Samples groups with one sampler, by all processes of a world together."""

    def __init__(
        self,
        sampler: Sampler,
        referee: Referee,
        settings: Rlvr,
        seed: int,
        world: World,
    ) -> None:
        self.sampler, self.referee, self.chat = sampler, referee, referee.chat
        self.settings, self.seed, self.world = settings, seed, world

    def sample(
        self,
        number: int,
        temperature: float,
        prompts: Sequence[Prompt],
        refill_rounds: int,
        teaches: Callable[[Group], bool],
    ) -> list[Group]:
        """The groups of step `number`, of prompts drawn from these.

        Where `refill_rounds` allows, more prompts are drawn in place of those that do not teach
        (dynamic sampling, DAPO, arXiv 2503.14476, section 3.2). Raises DataError without prompts.
        """
        wanted = self.settings.prompts_per_step
        seed = derive_seed(self.seed, "rlvr", "draw", number)
        order = draw_order(len(prompts), wanted * (1 + refill_rounds), seed)
        groups: list[Group] = []
        for _ in range(1 + refill_rounds):
            missing = wanted - sum(map(teaches, groups))
            if missing <= 0:
                break
            drawn = [prompts[i] for i in order[len(groups) : len(groups) + missing]]
            groups += self._groups(number, temperature, drawn, len(groups))
        return groups

    def _groups(
        self, number: int, temperature: float, drawn: Sequence[Prompt], first_place: int
    ) -> list[Group]:
        """A group of each prompt; one short of positives is sampled on, as far as is allowed."""
        size = self.settings.group_size
        most = size * (self.settings.oversample if self.settings.rebalance else 1)
        found: list[list[Answered]] = [[] for _ in drawn]
        is_open = list(range(len(drawn)))
        while is_open:
            draws = [Draw(first_place + i, drawn[i], len(found[i]), size) for i in is_open]
            for i, responses in zip(
                is_open, self._answered(draws, number, temperature), strict=True
            ):
                found[i] += responses
            is_open = [i for i in is_open if self._is_short(found[i]) and len(found[i]) < most]
        return [self._group(p, responses) for p, responses in zip(drawn, found, strict=True)]

    def _is_short(self, responses: Sequence[Answered]) -> bool:
        num_positive = sum(worth.decision.verdict == "correct" for _, worth in responses)
        return num_positive < self.settings.min_positives

    def _answered(
        self, draws: Sequence[Draw], number: int, temperature: float
    ) -> list[list[Answered]]:
        """The responses to each draw, sampled and judged by all processes."""
        mine: list[list[Answered]] | Exception
        try:
            here = even_parts(draws, self.world.size)[self.world.rank]
            mine = self._sampled_here(here, number, temperature)
        except Exception as error:  # the others must not wait for what will not come
            mine = error
        answered: list[list[Answered]] = []
        for part in self.world.gather(mine):
            if isinstance(part, Exception):
                raise part
            answered += part
        return answered

    def _sampled_here(
        self, draws: Sequence[Draw], number: int, temperature: float
    ) -> list[list[Answered]]:
        """The same by this process alone. Responses are judged while others are sampled."""
        asked = [draw.prompt for draw in draws for _ in range(draw.count)]
        requests = [each for draw in draws for each in self._requests(draw, number, temperature)]
        rewarder = self.referee.rewarder

        def judge(number: int, completion: Completion) -> None:
            most = requests[number].params.max_tokens
            rewarder.submit(number, self.referee.response(asked[number], completion, most))

        completions = self.sampler.generate(requests, judge)
        _require_logprobs(completions)
        worth = rewarder.results()
        answered = [(completion, worth[i]) for i, completion in enumerate(completions)]
        ends = np.cumsum([draw.count for draw in draws])
        return [answered[end - draw.count : end] for draw, end in zip(draws, ends, strict=True)]

    def _requests(self, draw: Draw, number: int, temperature: float) -> list[Request]:
        """One for each response of the draw, with a seed of its own."""
        prompt_ids = self.chat.prompt_ids(draw.prompt.prompt)
        params = SamplingParams(
            temperature=temperature,
            top_p=self.settings.top_p,
            max_tokens=min(self.settings.max_tokens, self.sampler.max_length - len(prompt_ids)),
        )
        seeds = (
            derive_seed(self.seed, "rlvr", number, draw.place, draw.first + i)
            for i in range(draw.count)
        )
        return [Request(prompt_ids, replace(params, seed=seed)) for seed in seeds]

    def _group(self, prompt: Prompt, responses: Sequence[Answered]) -> Group:
        return Group(
            question_id=prompt.question_id,
            prompt_ids=self.chat.prompt_ids(prompt.prompt),
            response_ids=[completion.token_ids for completion, _ in responses],
            logprobs=[completion.logprobs for completion, _ in responses],
            rewards=[worth.total for _, worth in responses],
            finish_reasons=[completion.finish_reason for completion, _ in responses],
            verdicts=[worth.decision.verdict for _, worth in responses],
            extracted=[worth.decision.extracted for _, worth in responses],
            reward_parts=[
                [worth.parts.get(name) for name in self.referee.reward_names]
                for _, worth in responses
            ],
        )


def draw_order(num_prompts: int, count: int, seed: int) -> list[int]:
    """`count` prompts by number in a random order, none again before all have been drawn.

    Raises DataError if there are no prompts.
    """
    if not num_prompts:
        raise DataError("there are no prompts to draw from; loosen what selects them")
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(num_prompts) for _ in range(-(-count // num_prompts))]
    order: list[int] = np.concatenate(rounds)[:count].tolist()
    return order


def _require_logprobs(completions: Sequence[Completion]) -> None:
    if any(len(each.logprobs) != len(each.token_ids) for each in completions):
        raise SamplingError(
            "the sampler tells no log-probabilities at this temperature and rlvr.top_p; set "
            "rlvr.top_p = 1, and start a server with --logprobs-mode processed_logprobs"
        )


def has_signal(group: Group) -> bool:
    """Whether the rewards of what could be judged differ."""
    return len({reward for reward in group.rewards if reward is not None}) > 1
