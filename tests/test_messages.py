from minireason.messages import assistant_message, prompt_messages
from minireason.records import Question

QUESTION = Question("q", "What is 1 + 1?", "2", "own")


def test_a_question_is_the_turn_of_the_user():
    assert prompt_messages(QUESTION) == [{"role": "user", "content": "What is 1 + 1?"}]


def test_a_system_prompt_comes_first():
    first, second = prompt_messages(QUESTION, "Be brief.")
    assert first == {"role": "system", "content": "Be brief."}
    assert second["role"] == "user"


def test_a_response_is_the_turn_of_the_assistant():
    assert assistant_message("2") == {"role": "assistant", "content": "2"}
