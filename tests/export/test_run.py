"""A folder that is a whole export, or is not there."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from minireason.edge.manifest import MANIFEST, read_manifest
from minireason.errors import ExportError
from minireason.evaluate.settings import weights_hash
from minireason.export import run
from minireason.export.run import export_model, name_of, size_of
from minireason.export.settings import ExportSettings
from minireason.progress import Progress

QUIET = Progress(is_quiet=True)


def onnx(source, **changes):
    return ExportSettings(source, "onnx", **changes)


@pytest.fixture(scope="session")
def made(tiny, tmp_path_factory):
    """An export of the tiny model; do not write to it."""
    out = tmp_path_factory.mktemp("made") / "export"
    export_model(onnx(tiny), out, QUIET, model="tiny")
    return out


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "export")


def test_the_manifest_says_what_the_export_is_and_what_it_was_made_of(made, tiny):
    manifest = read_manifest(made)
    assert (manifest.format, manifest.bits, manifest.target) == ("onnx", 4, "cpu")
    assert (manifest.model, manifest.context, manifest.longrope_regime) == ("tiny", 1024, None)
    assert manifest.source == {"model": "tiny", "weights": weights_hash(tiny)}
    assert manifest.quantization["bits"]["down_proj"] == 4
    assert manifest.quantization["settings"]["block_size"] == 32
    assert {"torch", "transformers", "onnxruntime-genai", "gguf"} <= manifest.versions.keys()
    assert manifest.gate is None


def test_every_file_stands_in_the_manifest_by_its_hash(made):
    files = {path.name: path for path in made.iterdir() if path.name != MANIFEST}
    assert read_manifest(made).files == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    assert {"model.onnx", "model.onnx.data", "genai_config.json"} <= files.keys()


@pytest.mark.parametrize(("format", "bits"), [("onnx", 4), ("hf", 16)])
def test_the_tokenizer_comes_along_as_it_is(format, bits, tiny, tmp_path):
    export_model(ExportSettings(tiny, format, bits), tmp_path / "out", QUIET)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "out" / name).read_bytes() == (tiny / name).read_bytes()
    assert (tmp_path / "out" / "generation_config.json").is_file()


def test_an_unpinned_longrope_model_is_said_to_be_long(longrope, tmp_path):
    made = export_model(onnx(longrope()), tmp_path / "out", QUIET)
    assert (made.longrope_regime, made.context) == ("long", 512)


def test_a_model_is_named_by_its_folder_and_a_rung_by_its_run_too(tmp_path):
    assert name_of(tmp_path / "tiny" / "rlvr") == "tiny/rlvr"
    assert name_of(tmp_path / "user" / "phi") == "phi"
    assert name_of(Path("/rlvr")) == "rlvr"


def test_the_size_of_an_export_is_without_the_responses_of_its_gate(copy):
    before = size_of(copy)
    assert before > (copy / "model.onnx.data").stat().st_size
    (copy / "gate").mkdir()
    (copy / "gate" / "kept.jsonl").write_text("{}")
    assert size_of(copy) == before


def test_what_is_there_already_is_not_made_again(copy, tiny):
    before = {path: path.stat().st_mtime_ns for path in copy.iterdir()}
    assert export_model(onnx(tiny), copy, QUIET) == read_manifest(copy)
    assert {path: path.stat().st_mtime_ns for path in copy.iterdir()} == before


def test_an_export_that_has_lost_a_file_is_not_there_already(copy, tiny):
    (copy / "model.onnx.data").unlink()
    with pytest.raises(ExportError, match=r"has lost its model\.onnx\.data; --overwrite"):
        export_model(onnx(tiny), copy, QUIET)
    export_model(onnx(tiny), copy, QUIET, overwrite=True)
    assert (copy / "model.onnx.data").is_file()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"block_size": 64}, "block size was 32, is now 64"),
        ({"keep_8bit": ("down_proj",)}, r"kept at 8 bits was \[\], is now \['down_proj'\]"),
        ({"bits": 8}, "bits was 4, is now 8"),
        ({"target": "cuda"}, "target was cpu, is now cuda"),
        ({"format": "hf", "bits": 16}, "format was onnx, is now hf"),
    ],
)
def test_another_export_is_not_written_over_unasked(changes, said, copy, tiny):
    settings = ExportSettings(tiny, **({"format": "onnx"} | changes))
    with pytest.raises(ExportError, match=f"is another export: .*{said}.*or --overwrite"):
        export_model(settings, copy, QUIET)
    assert read_manifest(copy).bits == 4


def test_an_export_of_other_weights_is_not_written_over_unasked(copy, saved):
    with pytest.raises(ExportError, match=r"weights was [0-9a-f]{12}, is now [0-9a-f]{12}"):
        export_model(onnx(saved()), copy, QUIET)


def test_overwriting_makes_the_other_export(copy, tiny):
    (copy / "old").write_text("")
    export_model(onnx(tiny, bits=8), copy, QUIET, overwrite=True)
    assert read_manifest(copy).bits == 8
    assert not (copy / "old").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_export_is_never_deleted(overwrite, tiny, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(ExportError, match=r"no (finished )?export"):
        export_model(onnx(tiny), tmp_path / "out", QUIET, overwrite=overwrite)
    with pytest.raises(ExportError, match=r"no (finished )?export"):
        export_model(onnx(tiny), tmp_path / "out" / "thesis.tex", QUIET, overwrite=overwrite)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ExportError])
def test_what_is_interrupted_leaves_nothing(error, tiny, tmp_path, monkeypatch):
    def stop(settings, out):
        (out / "model.onnx").write_text("half")
        raise error("stop")

    monkeypatch.setattr(run, "_build", stop)
    with pytest.raises(error):
        export_model(onnx(tiny), tmp_path / "out", QUIET)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_overwrite_leaves_what_was_there(copy, tiny, monkeypatch):
    def stop(settings, out):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_build", stop)
    before = (copy / MANIFEST).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        export_model(onnx(tiny, bits=8), copy, QUIET, overwrite=True)
    assert (copy / MANIFEST).read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == ["export"]


def test_what_a_kill_left_is_cleared(tiny, tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "half").write_text("")
    export_model(ExportSettings(tiny, "hf", 16), tmp_path / "out", QUIET)
    assert not (tmp_path / "out" / "half").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_kill_left_of_a_replaced_export_is_cleared(copy, tiny):
    shutil.copytree(copy, copy.with_name("export.replaced.partial"))
    export_model(ExportSettings(tiny, "hf", 16), copy, QUIET, overwrite=True)
    assert read_manifest(copy).format == "hf"
    assert [path.name for path in copy.parent.iterdir()] == ["export"]


def test_the_current_folder_and_a_link_can_be_overwritten(copy, tiny, monkeypatch):
    link = copy.with_name("link")
    link.symlink_to(copy)
    export_model(ExportSettings(tiny, "hf", 16), link, QUIET, overwrite=True)
    assert link.is_symlink() and read_manifest(copy).bits == 16
    monkeypatch.chdir(copy)
    export_model(ExportSettings(tiny, "hf", 32), run.Path("."), QUIET, overwrite=True)
    assert read_manifest(copy).bits == 32


def test_what_cannot_be_exported_makes_no_folder(tiny, tmp_path):
    with pytest.raises(ExportError, match="--bits is 16"):
        export_model(onnx(tiny, bits=16), tmp_path / "out", QUIET)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tiny):
    with pytest.raises(ExportError, match="cannot write to /proc/none"):
        export_model(onnx(tiny), run.Path("/proc/none/out"), QUIET)


def test_a_manifest_that_lacks_its_settings_is_another_export(copy, tiny):
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["quantization"] = {}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match="block size was None, is now 32"):
        export_model(onnx(tiny), copy, QUIET)
