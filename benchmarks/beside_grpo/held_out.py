"""How much of what nobody trained on a model solves: the same prompts and seeds for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from transformers import AutoModelForCausalLM

from beside_grpo.task import HELD_OUT, Task
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, load_model
from minireason.records import Prompt, read_records
from minireason.rl.groups import Referee
from minireason.rl.rewarder import Rewarder
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.verify.verifier import Verifier

SAMPLES = 4


def pass_rates(task: Task, weights: Sequence[Path | None]) -> list[float]:
    """Of the task's model with each of these weights, or its own: the share of four samples a
    prompt, drawn as in training, that are correct."""
    language_model = load_model(task.model)
    prompts = read_records(Path(task.prompts) / HELD_OUT, Prompt)
    with Verifier() as verifier, Rewarder({"correct": 1.0}, verifier) as rewarder:
        referee = Referee(Chat(language_model.tokenizer), rewarder)
        found = []
        for path in weights:
            if path:
                take(language_model, path)
            engine = Engine(language_model.model, referee.chat.stop_ids, task.max_batch)
            found.append(pass_rate(engine, referee, prompts, task.max_tokens))
    return found


def pass_rate(
    engine: Engine, referee: Referee, prompts: Sequence[Prompt], max_tokens: int
) -> float:
    asked = [prompt for prompt in prompts for _ in range(SAMPLES)]
    requests = [
        Request(
            referee.chat.prompt_ids(prompt.prompt),
            SamplingParams(1.0, top_p=1.0, max_tokens=max_tokens, seed=number),
        )
        for number, prompt in enumerate(asked)
    ]
    answered = zip(asked, engine.generate(requests), strict=True)
    worth = referee.rewarder.reward([referee.response(*both, max_tokens) for both in answered])
    return sum(each.decision.verdict == "correct" for each in worth) / len(worth)


def take(language_model: LanguageModel, path: Path) -> None:
    """Put a checkpoint of ours, or a model that TRL's side saved, into the model."""
    model = language_model.model
    if (path / "config.json").is_file():
        model.load_state_dict(AutoModelForCausalLM.from_pretrained(path).state_dict())
    else:
        state = {"model": get_model_state_dict(model)}
        load(state, checkpoint_id=path)
        set_model_state_dict(model, state["model"])
