"""A folder that is ready for the hub, to be broken one way at a time."""

import shutil

import pytest

from minireason.edge.manifest import Manifest
from minireason.evaluate.settings import weights_hash
from minireason.publish.run import Publishing, prepare
from minireason.runfolder import file_hash, write_json


@pytest.fixture
def model(base, tmp_path):
    """A copy of the tiny base's folder."""
    return shutil.copytree(base, tmp_path / "model")


@pytest.fixture(scope="session")
def whole(base, tmp_path_factory):
    """The base as it would be published; do not write to it."""
    out = tmp_path_factory.mktemp("publish") / "base"
    assert prepare(Publishing(base, out, license="mit")) == []
    return out


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of it that a test may break."""
    return shutil.copytree(whole, tmp_path / "folder")


@pytest.fixture
def export(tmp_path):
    """Make an exported folder of a model: the files are of no format, the manifest is true."""

    def make(model, name="int4", format="gguf", **changes):
        folder = tmp_path / "exports" / name
        (folder / "tokens").mkdir(parents=True)
        (folder / "model.gguf").write_bytes(b"GGUF and weights")
        (folder / "tokens" / "vocabulary.txt").write_text("a b c\n")
        (folder / "cache.tmp").write_text("left by the exporter")
        files = ("model.gguf", "tokens/vocabulary.txt")
        manifest = Manifest(
            format=format,
            bits=4,
            target="cpu",
            model="model",
            source={"model": "model", "weights": weights_hash(model)},
            quantization={"type": "Q4_K_M"},
            context=1024,
            files={file: file_hash(folder / file) for file in files},
        )
        write_json(folder / "export.json", manifest.model_dump() | changes)
        return folder

    return make
