import pytest
from huggingface_hub import ModelCard
from rich.console import Console

from minireason.edge.manifest import read_manifest
from minireason.export.card import write_card
from minireason.export.gate import run_gate, store_gate
from minireason.export.gate_table import card_section, gate_table, rows
from minireason.progress import Progress
from minireason.runfolder import write_json


@pytest.fixture
def gate(base, exported, settings, runs_as, footprint, noisy):
    faster = footprint.model_copy(update={"tokens_per_s": 800.0, "weight_bytes": 250})
    runs_as(noisy(0.3), cost=lambda folder: faster if folder == exported else footprint)
    return run_gate(base, exported, settings, Progress(is_quiet=True))


@pytest.fixture
def card(exported):
    def text(source=None, **changes):
        manifest = read_manifest(exported).model_copy(update=changes)
        write_json(exported / "export.json", manifest.model_dump(mode="json"))
        write_card(exported, source)
        return (exported / "README.md").read_text()

    return text


def shown(gate):
    console = Console(width=200, record=True)
    console.print(gate_table(gate))
    return console.export_text()


def test_the_table_has_every_figure_of_the_issue(gate):
    names = " ".join(row.name for row in rows(gate))
    for figure in ("accuracy", "loop", "identical", "first difference", "likeliest token"):
        assert figure in names
    for figure in ("log-probability distance", "KL", "weights", "load", "first token", "tokens/s"):
        assert figure in names
    assert "peak memory" in names


def test_intervals_survive_the_markup_of_the_terminal(gate):
    along = gate.following.argmax
    assert f"{100 * along.value:.1f} [{100 * along.low:.1f}, {100 * along.high:.1f}]" in shown(gate)


def test_costs_are_set_beside_the_originals(gate):
    found = {row.name: row for row in rows(gate)}
    assert found["tokens/s"][1:] == ("100", "800", "x 8")
    assert found["weights, MiB"].change == "x 0.25"


def test_markdown_and_terminal_show_the_same_cells(gate):
    section, table = card_section(gate), shown(gate)
    for row in rows(gate):
        assert f"| {' | '.join(row)} |" in section
        assert all(cell in table for cell in row)


def test_how_it_was_measured_stands_below(gate):
    section = card_section(gate)
    assert "Greedy responses of at most 12 tokens" in section
    assert "1 rounds, CPU threads: 1" in section
    assert "Allowed are a loss of 2 points and 5 points more loops." in section
    assert f"({gate.following.num_tokens:,} tokens)" in section


def test_a_card_is_one_the_hub_reads(card, exported, gate):
    store_gate(exported, gate)
    data = ModelCard(card()).data
    assert data.library_name == "onnxruntime-genai"
    assert {"4-bit", "quantized", "onnx", "math"} <= set(data.tags)
    assert data.pipeline_tag == "text-generation"
    assert data.base_model is None  # a folder's name is none on the hub


def test_licence_and_base_are_the_originals_and_stay(card, tmp_path):
    source = tmp_path / "models--runs--base" / "snapshots" / "abc"
    source.mkdir(parents=True)
    (source / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    for data in (ModelCard(card(source)).data, ModelCard(card()).data):
        assert (data.license, data.base_model) == ("mit", "runs/base")
        assert data.base_model_relation == "quantized"


def test_a_card_that_cannot_be_read_names_no_licence(card, tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n")
    assert ModelCard(card(tmp_path)).data.license is None


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("onnx", "og.Model"),
        ("gguf", "llama-cli -m tiny.gguf -c 1024"),
        ("hf", "AutoModelForCausalLM"),
    ],
)
def test_it_says_how_to_run_it(card, exported, form, words):
    (exported / "tiny.gguf").touch()
    text = card(format=form)
    assert words in text and "minireason chat ." in text
    assert "{{" not in text and "None" not in text


def test_what_it_was_made_with_stands_in_it(card):
    text = card()
    assert "| block size | 32 |" in text and "| keep 8bit | none |" in text
    assert "| context, tokens | 1024 |" in text and "| onnxruntime-genai | 0.18.0 |" in text


def test_without_a_gate_it_says_that_nothing_was_measured(card):
    text = card(target="cuda")
    assert "Nothing has been measured" in text and "It has not been run on cuda" in text


def test_sixteen_bits_are_not_called_quantized(card):
    text = card(bits=16)
    assert "quantized" not in text and "rounded" not in text


def test_a_card_of_somebody_else_is_left_alone(card, exported):
    first = card()
    write_card(exported)
    assert (exported / "README.md").read_text() == first
    (exported / "README.md").write_text("my own words\n")
    assert card() == "my own words\n"
