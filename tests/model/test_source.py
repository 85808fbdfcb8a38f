"""Where a base lies, and which LongRoPE factors a recipe makes of it."""

import json

import pytest

from minireason.model.source import rope_regime


@pytest.fixture
def folder(tmp_path):
    def make(**config):
        (tmp_path / "config.json").write_text(json.dumps(config))
        return str(tmp_path)

    return make


LONGROPE = {"rope_type": "longrope", "original_max_position_embeddings": 4096}


@pytest.mark.parametrize(
    ("config", "rope", "context", "expected"),
    [
        ({"rope_parameters": LONGROPE}, "auto", 4096, "short"),
        ({"rope_parameters": LONGROPE}, "auto", 4097, "long"),
        ({"rope_parameters": LONGROPE}, "short", 9999, "short"),
        ({"rope_parameters": LONGROPE, "longrope_regime": "long"}, "auto", 100, "long"),
        (
            {"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 4096},
            "auto",
            5000,
            "long",
        ),
        ({"rope_parameters": {"rope_type": "default"}}, "auto", 5000, ""),
        ({}, "auto", 5000, ""),
    ],
)
def test_the_regime_of_a_local_base(folder, config, rope, context, expected):
    assert rope_regime(folder(**config), rope, context) == expected


def test_of_a_hub_id_it_is_what_the_choice_depends_on():
    assert rope_regime("owner/name", "auto", 5000) == "auto for 5000"
    assert rope_regime("owner/name", "long", 5000) == "long"


def test_the_tiny_base_has_none():
    assert rope_regime("tiny", "auto", 512) == ""
