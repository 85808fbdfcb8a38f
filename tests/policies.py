"""A policy that says what its prompts tell it to, for tests of what is made of its samples."""

from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import torch

from minireason.records import Prompt
from minireason.rl.groups import Referee
from minireason.rl.rewarder import Rewarder
from minireason.rollout.request import Completion
from minireason.verify.verifier import Decision

ONES = torch.ones(2, 3)
WORDS = {"c": "correct", "i": "incorrect", "u": "unknown"}


class FakeChat:
    """A prompt's only message is its name, of as many tokens as letters; a response is numbers."""

    def prompt_ids(self, messages):
        return [ord(letter) for letter in messages[0]["content"]]

    def decode(self, ids):
        return " ".join(map(str, ids))


@dataclass
class FakeSampler:
    """The n-th response to a prompt in a call is token 10 + n, then n times token 9.

    `told` gives the first number to each later call for a prompt, so that responses go on counting.
    """

    max_length: int = 100
    model: torch.nn.Module = field(default_factory=partial(torch.nn.Embedding, 2, 3, _weight=ONES))
    requests: list = field(default_factory=list)
    loaded: list = field(default_factory=list)
    counts: dict = field(default_factory=dict)

    def load_weights(self, model):
        self.loaded.append(model)

    def generate(self, requests, on_finish=None):
        self.requests += requests
        found = []
        for number, request in enumerate(requests):
            name = tuple(request.prompt_ids)
            index = self.counts[name] = self.counts.get(name, -1) + 1
            ids = [10 + index, *[9] * index]
            completion = Completion(ids, [-0.5] * len(ids), "length" if index == 3 else "stop")
            found.append(completion)
            if on_finish:
                on_finish(number, completion)
        return found


@dataclass
class FakeVerifier:
    """Verdicts by the first token of the response, in the order of the prompt's answer."""

    asked: list = field(default_factory=list)

    def verify_batch(self, batch):
        self.asked += batch
        answers = [answer[int(response.split()[0]) - 10] for response, answer, _ in batch]
        return [Decision(WORDS[answer], answer, "fake") for answer in answers]


def prompt(name, verdicts):
    """A prompt to whose responses these are the verdicts, one letter each: c, i or u."""
    messages = [{"role": "user", "content": name}]
    return Prompt(name, messages, verdicts, "integer", 0.5, 1.0, 0.0)


def referee(weights=None):
    return Referee(FakeChat(), Rewarder(weights or {"correct": 1.0}, FakeVerifier()))


def fake_learner(seed=0):
    from minireason.world import ALONE

    return SimpleNamespace(
        world=ALONE,
        settings=SimpleNamespace(seed=seed),
        copy_weights_to=lambda model: None,
    )
