"""A question as the conversation that a model is asked to go on with."""

from __future__ import annotations

from minireason.records import Message, Question


def prompt_messages(question: Question, system_prompt: str = "") -> list[Message]:
    """The optional system message and the question as the user's turn."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": question.text}]


def assistant_message(response: str) -> Message:
    """A response as the assistant's turn."""
    return {"role": "assistant", "content": response}
