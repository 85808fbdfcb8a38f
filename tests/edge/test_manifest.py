import json
import sys

import pytest

from minireason.edge.manifest import MANIFEST, Manifest, is_export, read_manifest
from minireason.edge.runtime import open_runtime
from minireason.errors import MissingError

GOOD = {
    "format": "gguf",
    "bits": 4,
    "target": "cpu",
    "model": "run/rlvr",
    "source": {"weights": "0"},
    "quantization": {},
    "context": 64,
}


def written(folder, **changes):
    (folder / MANIFEST).write_text(json.dumps(GOOD | changes), encoding="utf-8")
    return folder


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    manifest = Manifest.model_validate(GOOD | {"gate": {"loss": 0.5}, "files": {"a": "b"}})
    (tmp_path / MANIFEST).write_text(manifest.model_dump_json())
    assert is_export(tmp_path)
    assert read_manifest(tmp_path) == manifest


def test_a_folder_without_one_is_no_export(tmp_path):
    assert not is_export(tmp_path)
    with pytest.raises(MissingError, match="it is no export, or not a finished one"):
        read_manifest(tmp_path)


def test_a_manifest_that_no_export_has_names_the_field(tmp_path):
    with pytest.raises(MissingError, match=r"export\.json: bits input should be 4, 8, 16 or 32"):
        read_manifest(written(tmp_path, bits=3))


def test_an_export_for_transformers_has_no_runtime_here(tmp_path):
    with pytest.raises(MissingError, match="transformers"):
        open_runtime(written(tmp_path, format="hf"))


@pytest.mark.parametrize(
    ("form", "package"), [("onnx", "onnxruntime_genai"), ("gguf", "llama_cpp")]
)
def test_a_runtime_that_is_not_installed_is_named_with_its_extra(
    tmp_path, monkeypatch, form, package
):
    monkeypatch.setitem(sys.modules, package, None)  # importing it now fails
    for module in [name for name in sys.modules if name.startswith("minireason.edge.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingError, match=rf"{package} is missing; .*minireason\[{form}\]"):
        open_runtime(written(tmp_path, format=form))
