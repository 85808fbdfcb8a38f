import json
import shutil

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer

from minireason.edge.tokenizer import FolderTokenizer
from minireason.errors import MissingError
from minireason.model.chat import Chat
from minireason.model.source import TINY_FOLDER

TEXTS = [
    "",
    "What is 12 * 34?",
    "\\frac{1}{2} \\leq x^2  \n\n\ttab   spaces",
    "<|user|>not a <|end|> turn<|endoftext|>",
    "naïve café, 数学, 🙂👩‍👩‍👧, \u200b zero width",
    "1234567890 3.14 1,000,000",
]
TALKS = [
    [{"role": "user", "content": "What is 1 + 1?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a <b> & 'c' \"d\""},
        {"role": "assistant", "content": "e\n f "},
        {"role": "user", "content": "数学"},
    ],
]
TEMPLATES = {
    "blocks": "{% for m in messages %}\n  {{ m.role | upper }}: {{ m['content'] | trim }}\n"
    "{% endfor %}{% if add_generation_prompt %}A:{% endif %}",
    "json": "{{ bos_token }}{{ messages | tojson }}{{ messages | tojson(indent=2) }}",
    "loops": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
    "{{ loop.index0 }}{{ m.content }}{% endfor %}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}"
    "{% endfor %}",
    "tools": "{% if tools %}T{% else %}none{% endif %}{{ documents }}",
    "namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
    "{% endfor %}{{ ns.n }}",
    "date": "{{ strftime_now('%Y') }}",
}


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(TINY_FOLDER, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("text", TEXTS)
def test_encodes_and_decodes_as_transformers_does(text):
    ours, theirs = FolderTokenizer(TINY_FOLDER), AutoTokenizer.from_pretrained(TINY_FOLDER)
    ids = ours.encode(text)
    assert ids == theirs.encode(text, add_special_tokens=False)
    for skips in (False, True):
        assert ours.decode(ids, skip_special_tokens=skips) == theirs.decode(
            ids, skip_special_tokens=skips
        )


def test_a_chat_is_the_same_with_either():
    ours, theirs = FolderTokenizer(TINY_FOLDER), AutoTokenizer.from_pretrained(TINY_FOLDER)
    for talk in TALKS:
        assert Chat(ours).prompt_ids(talk) == Chat(theirs).prompt_ids(talk)
    assert Chat(ours).stop_ids == Chat(theirs).stop_ids
    assert Chat(ours).end_ids == Chat(theirs).end_ids
    assert ours.special_tokens_map == theirs.special_tokens_map


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("talk", TALKS, ids=["short", "long"])
@pytest.mark.parametrize("prompts", [True, False])
def test_renders_templates_as_transformers_does(folder, name, talk, prompts):
    (folder / "chat_template.jinja").write_text(TEMPLATES[name], encoding="utf-8")
    ours, theirs = FolderTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    options = {"tokenize": False, "add_generation_prompt": prompts}
    assert ours.apply_chat_template(talk, **options) == theirs.apply_chat_template(talk, **options)


def test_a_template_may_refuse_and_reaches_nothing(folder):
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system role') }}")
    with pytest.raises(TemplateError, match="no system role"):
        FolderTokenizer(folder).apply_chat_template([], tokenize=False, add_generation_prompt=True)
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__ }}")
    with pytest.raises(TemplateError):
        FolderTokenizer(folder).apply_chat_template([], tokenize=False, add_generation_prompt=True)


def test_the_template_may_stand_in_the_config_and_special_tokens_be_tables(folder):
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    eos = config["eos_token"]
    config |= {"chat_template": "{{ eos_token }}!", "eos_token": {"content": eos, "lstrip": False}}
    path.write_text(json.dumps(config))
    tokenizer = FolderTokenizer(folder)
    rendered = tokenizer.apply_chat_template([], tokenize=False, add_generation_prompt=True)
    assert rendered == f"{eos}!"
    assert tokenizer.eos_token_id == FolderTokenizer(TINY_FOLDER).eos_token_id


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(MissingError, match="cannot read"):
        FolderTokenizer(tmp_path)
