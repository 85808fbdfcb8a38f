"""Models, whose code transformers owns: loading, chat form, attention, log-probabilities."""

import logging

# Where torchao is installed, importing transformers' models imports it, and it complains of
# kernels for other machines and of torch's newer ways: nothing that a user of ours can mend.
_NOISE = {"torchao": "Failed to load", "torch.utils._pytree": "%s is an Enum subclass"}


def _is_worth_saying(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_NOISE[record.name])


for _name in _NOISE:
    logging.getLogger(_name).addFilter(_is_worth_saying)
