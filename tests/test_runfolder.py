import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minireason.errors import MissingError, RunFolderError
from minireason.runfolder import StepFolder, file_hash, lock, read_json, remove, write_json

ROOT = Path(__file__).parents[1]
CONFIG = {"sft": {"batch_size": 4, "learning_rate": 1e-5}, "run": {"seed": 0}}
INPUTS = {"data": "aaaa", "model": "bbbb"}


def folder(path, config=CONFIG, inputs=INPUTS):
    return StepFolder("sft", path / "sft", config, inputs)


def finished(path, content="content"):
    step = folder(path)
    step.start()
    (step.path / "deep").mkdir()
    (step.path / "deep" / "weights").write_text(content)
    step.finish({"in": 3, "out": 2, "dropped: short": 1}, seed=7, seconds=1.25)
    return step


def test_a_step_is_absent_then_started_then_finished(tmp_path):
    step = folder(tmp_path)
    assert (step.is_started, step.is_finished) == (False, False)
    step.start()
    assert (step.is_started, step.is_finished) == (True, False)
    step.finish({}, 0, 0.0)
    assert (step.is_started, step.is_finished) == (False, True)


def test_the_manifest_holds_config_inputs_rows_seed_versions_and_file_hashes(tmp_path):
    manifest = read_json(finished(tmp_path).path / "manifest.json")
    assert (manifest["config"], manifest["inputs"], manifest["seed"]) == (CONFIG, INPUTS, 7)
    assert manifest["rows"] == {"in": 3, "out": 2, "dropped: short": 1}
    assert manifest["files"] == {"deep/weights": hashlib.sha256(b"content").hexdigest()}
    assert {"python", "minireason", "torch", "transformers"} <= manifest["versions"].keys()


def test_the_manifest_is_the_last_file_written(tmp_path, monkeypatch):
    written = []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda p, target: (written.append(target.name), replace(p, target))
    )
    step = finished(tmp_path)
    assert written == ["started.json", "manifest.json"]
    assert [p.name for p in step.path.iterdir() if p.is_file()] == ["manifest.json"]


def test_steps_that_made_the_same_files_have_one_identity_and_others_another(tmp_path):
    first, second = finished(tmp_path / "1"), finished(tmp_path / "2")
    assert first.identity() == second.identity() != finished(tmp_path / "3", "other").identity()


def test_what_is_beside_the_result_is_no_part_of_the_identity(tmp_path):
    step = folder(tmp_path / "timed")
    step.start()
    (step.path / "deep").mkdir()
    (step.path / "deep" / "weights").write_text("content")
    (step.path / "timing.jsonl").write_text('{"elapsed_s": 1}\n')
    (step.path / "usage.jsonl").write_text('{"retries": 1}\n')
    (step.path / "README.md").write_text("# A model card")
    for name in ("tensorboard", "wandb/latest-run"):
        (step.path / name).mkdir(parents=True)
        (step.path / name / "events").write_text(str(time.time()))
    step.finish({}, seed=1, seconds=99.0)
    assert step.identity() == finished(tmp_path / "plain").identity()


def test_what_a_kill_left_half_written_is_no_part_of_the_identity(tmp_path):
    step = folder(tmp_path / "killed")
    step.start()
    for name in ("manifest.json.partial", "deep/weights.partial", "old.partial/a.partial/b"):
        (step.path / name).parent.mkdir(parents=True, exist_ok=True)
        (step.path / name).write_text("half")
    step.start()
    (step.path / "deep" / "weights").write_text("content")
    step.finish({}, seed=7, seconds=0.0)
    assert step.identity() == finished(tmp_path / "whole").identity()


def test_an_unfinished_step_has_no_identity(tmp_path):
    with pytest.raises(MissingError, match="step sft is not finished"):
        folder(tmp_path).identity()


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_changed_config_is_an_error_with_the_old_value_and_the_new(is_finished, tmp_path):
    if is_finished:
        finished(tmp_path)
    else:
        folder(tmp_path).start()
    changed = {"sft": {"batch_size": 8, "learning_rate": 1e-5}, "run": {"seed": 0}}
    with pytest.raises(RunFolderError, match=r"recipe or input: sft\.batch_size was 4, is now 8\."):
        folder(tmp_path, config=changed).check()


def test_a_changed_input_is_an_error_with_the_old_value_and_the_new(tmp_path):
    finished(tmp_path)
    with pytest.raises(RunFolderError, match=r"input\.model was 'bbbb', is now 'cccc'"):
        folder(tmp_path, inputs={"data": "aaaa", "model": "cccc"}).check()


def test_a_new_key_and_a_lost_input_are_changes_too(tmp_path):
    finished(tmp_path)
    config = {**CONFIG, "sft": {**CONFIG["sft"], "epochs": 2}}
    with pytest.raises(RunFolderError, match=r"sft\.epochs was None, is now 2; input\.model was"):
        folder(tmp_path, config=config, inputs={"data": "aaaa"}).check()


def test_the_same_config_and_inputs_pass(tmp_path):
    folder(tmp_path).check()
    finished(tmp_path).check()


@pytest.mark.parametrize("text", ["", '{"config": ', "\x00\x01", "[]", "3", '{"config": {}}'])
def test_a_damaged_manifest_is_a_one_line_error_naming_it(text, tmp_path):
    step = finished(tmp_path)
    (step.path / "manifest.json").write_text(text)
    for read in (step.check, step.identity):
        with pytest.raises(
            RunFolderError, match=r"sft/manifest.json .* delete its folder"
        ) as found:
            read()
        assert "\n" not in str(found.value)


def test_json_is_replaced_in_one_piece(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"old": 1})
    monkeypatch.setattr(os, "fsync", lambda descriptor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_json(tmp_path / "a.json", {"new": 2})
    assert read_json(tmp_path / "a.json") == {"old": 1}


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path):
    hashes = set()
    for name, files in enumerate([{"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "c": ""}]):
        (tmp_path / str(name)).mkdir()
        for file, text in files.items():
            (tmp_path / str(name) / file).write_text(text)
        hashes.add(file_hash(tmp_path / str(name)))
    assert len(hashes) == 4


def test_the_hash_of_a_model_s_folder_does_not_depend_on_its_card(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    before = file_hash(tmp_path)
    (tmp_path / "README.md").write_text("# A model")
    assert file_hash(tmp_path) == before


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert file_hash(tmp_path / "f") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_remove_deletes_files_and_folders_and_minds_no_absence(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name in ("folder", "file", "absent"):
        remove(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_removal_is_killed_is_out_of_the_way(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr("shutil.rmtree", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        remove(tmp_path / "checkpoints")
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoints.partial"]


def test_a_second_process_on_a_run_folder_is_refused(tmp_path):
    recipe = str(ROOT / "recipes" / "smoke.toml")
    code = f"import sys; sys.argv[1:] = ['rollout', {recipe!r}, '--out', {str(tmp_path)!r}]; "
    with lock(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", code + "from minireason.cli import main; main()"],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {tmp_path} is in use by another minireason process; wait for it or use another "
        "--out\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_a_lock_is_free_again_after_use(tmp_path):
    for _ in range(2):
        with lock(tmp_path):
            pass


def test_a_lock_dies_with_its_process(tmp_path):
    code = (
        "import os, pathlib; from minireason.runfolder import lock\n"
        f"with lock(pathlib.Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    with lock(tmp_path):
        pass


@pytest.mark.parametrize("place", ["file/run", "/proc/none/run", "file"])
def test_a_folder_that_cannot_be_written_is_an_error_naming_it(place, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"cannot write to .*; use another --out"):  # noqa: SIM117
        with lock(tmp_path / place):
            pass


def test_manifests_are_json_that_keeps_every_letter(tmp_path):
    write_json(tmp_path / "a.json", {"name": "\u03c0 \u2264 4"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {
        "name": "\u03c0 \u2264 4"
    }
    assert "\u03c0" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["checkpoints", "tokens", "buffer"])
def test_what_a_step_would_go_on_from_stays_until_it_is_finished(name, tmp_path):
    plain = finished(tmp_path / "plain").identity()
    step = folder(tmp_path / "other")
    step.start()
    for place in ("deep", name):
        (step.path / place).mkdir()
    (step.path / "deep" / "weights").write_text("content")
    (step.path / name / "part").write_text("half")
    step.start()
    assert (step.path / name / "part").is_file()
    step.finish({}, seed=7, seconds=1.25)
    assert not (step.path / name).exists() and step.identity() == plain
