import pytest

from minireason.model.chat import Chat
from minireason.model.load import load_model
from minireason.records import Example
from minireason.stages.sft import encoded

USER = {"role": "user", "content": "What is 1 + 2?"}
ANSWER = {"role": "assistant", "content": "\\boxed{3}"}


@pytest.mark.parametrize("loss_on", ["response", "all"])
def test_the_loss_is_on_the_response_or_on_all_that_has_something_before_it(loss_on, base):
    chat = Chat(load_model(str(base)).tokenizer)
    (entry,) = encoded(chat, loss_on, [Example("e", [USER, ANSWER])])
    (sequence,) = entry.unit
    prompt, response = chat.prompt_ids([USER]), chat.response_ids(ANSWER["content"])
    assert list(sequence.ids) == [*prompt, *response]
    targets = response if loss_on == "response" else [*prompt, *response][1:]
    assert list(sequence.ids[-sequence.num_targets :]) == targets
