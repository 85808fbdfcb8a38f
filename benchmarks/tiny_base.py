"""What a tiny base model knows before it learns to reason: facts, and reading questions.

    python benchmarks/tiny_base.py src/minireason/model/tiny

Greedy answers, each right only where it equals the text exactly. The questions are of the
evaluation split; the facts are drawn as for pre-training, of which there are too few to hold any
out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from random import Random

from minireason.model.chat import Chat
from minireason.model.load import load_model
from minireason.model.threads import use_threads
from minireason.problems import pretraining
from minireason.problems.atoms import ATOMS
from minireason.problems.facts import READING_PROMPTS, draw_atom
from minireason.problems.procedural import generate_questions
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams

Case = tuple[str, list[int], str]  # what is measured, the prompt's tokens, the right continuation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--num", type=int, default=1500, help="facts, and questions to read")
    arguments = parser.parse_args()
    use_threads(2)
    language_model = load_model(arguments.model)
    chat = Chat(language_model.tokenizer)
    newline = chat.tokenizer.encode("\n", add_special_tokens=False)[0]
    cases = [*fact_cases(chat, arguments.num), *reading_cases(chat, arguments.num)]
    engine = Engine(language_model.model, {*chat.stop_ids, newline}, 128)
    greedy = SamplingParams(temperature=0.0, max_tokens=160)
    answers = engine.generate([Request(prompt, greedy) for _, prompt, _ in cases])
    right: dict[str, list[bool]] = defaultdict(list)
    for (what, _, expected), answer in zip(cases, answers, strict=True):
        right[what].append(chat.decode(answer.token_ids).strip() == expected)
    for what, outcomes in sorted(right.items()):
        print(f"{what:<28} {100 * sum(outcomes) / len(outcomes):5.1f} %  of {len(outcomes)}")


def fact_cases(chat: Chat, num: int) -> Iterator[Case]:
    """A fact up to its value, on the second line of a text."""
    rng = Random(1)
    for index in range(num):
        op = list(ATOMS)[index % len(ATOMS)]
        first, atom = draw_atom("add", rng), draw_atom(op, rng)
        head, whole = (
            chat.tokenizer.encode(f"{first}\n{text}", add_special_tokens=False)
            for text in (atom.head, str(atom))
        )
        # `=-` is one token: the prompt ends before the first token that differs
        known = next(n for n in range(len(whole)) if head[n : n + 1] != whole[n : n + 1])
        ids = [chat.tokenizer.eos_token_id, *whole[:known]]
        yield f"fact: {op}", ids, chat.decode(whole[known:])


def reading_cases(chat: Chat, num: int) -> Iterator[Case]:
    """Questions of the evaluation split, to read."""
    rng = Random(2)
    for question in generate_questions(num, 11, "eval"):
        text = pretraining.questions(question, rng)
        last_line = text.prompt.rsplit("\n", 1)[-1]
        kind = next((p for p in READING_PROMPTS if p.split("{")[0] in last_line), None)
        if kind and "\n" not in text.text:
            asked = [{"role": "user", "content": text.prompt}]
            yield f"read: {kind}", chat.prompt_ids(asked), text.text


if __name__ == "__main__":
    main()
