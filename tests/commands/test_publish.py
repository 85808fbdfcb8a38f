"""`minireason publish`: a dry run shows what would go, an upload asks first."""

import io

import pytest


@pytest.fixture
def hub(monkeypatch):
    """What was uploaded, instead of the hub."""
    sent = []

    class Hub:
        def repo_info(self, repo_id):
            from types import SimpleNamespace

            return SimpleNamespace(private=True)

        def create_repo(self, repo_id, *, private, exist_ok):
            return f"https://hub/{repo_id}"

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            sent.append((repo_id, sorted(path.name for path in folder_path.iterdir())))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    return sent


def test_a_dry_run_of_a_run_shows_its_last_rung_and_the_command(command, smoke_run, tmp_path, hub):
    out = tmp_path / "out"
    code, shown, err = command(
        "publish", smoke_run, "--dry-run", "--license", "mit", "--repo", "me/it", "--out", out
    )
    assert code == 0, err
    assert "| RLVR |" in (out / "README.md").read_text()
    assert "kB  model.safetensors" in shown and "7 files," in shown
    assert shown.splitlines()[-1] == f"upload it with: hf upload me/it {out} . --private"
    assert hub == []


def test_the_folder_has_a_name_by_default(command, smoke_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, shown, err = command("publish", smoke_run / "sft", "--dry-run", "--license", "mit")
    assert code == 0, err
    assert (tmp_path / "publish" / "run-sft" / "config.json").is_file()
    assert "hf upload OWNER/NAME publish/run-sft ." in shown


def test_failures_are_told_at_once_with_exit_code_2(command, base, tmp_path, hub):
    code, _, err = command("publish", base, "--repo", "me/it", "--out", tmp_path / "out", "--yes")
    assert code == 2
    *failures, last = err.splitlines()
    assert [line[:22] for line in failures] == ["- no licence is given:"]
    assert last.startswith("error: 1 checks failed; nothing was written")
    assert hub == [] and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("answer", "is_sent"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_an_upload_asks_first(answer, is_sent, command, base, tmp_path, hub, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    arguments = ("publish", base, "--license", "mit", "--repo", "me/it", "--out", tmp_path / "out")
    code, shown, err = command(*arguments)
    assert code == 0, err
    assert "upload 7 files" in shown and "to me/it (there already, private)?" in shown
    assert len(hub) == is_sent
    assert ("https://hub/me/it" in shown) == is_sent


def test_yes_uploads_every_file_without_asking(command, base, tmp_path, hub):
    out = tmp_path / "out"
    arguments = ("--license", "mit", "--repo", "me/it", "--out", out, "--yes")
    code, _, err = command("publish", base, *arguments)
    assert code == 0, err
    assert hub == [("me/it", sorted(path.name for path in out.iterdir()))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--license", "mit"], "give --repo owner/name to upload to, or --dry-run"),
        (["--repo", "it", "--dry-run"], "--repo is 'it'; give owner/name"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, command, base, tmp_path, hub):
    code, _, err = command("publish", base, *arguments, "--out", tmp_path / "out")
    assert (code, err) == (2, f"error: {message}\n")


def test_a_model_of_the_hub_is_published_already(command, tmp_path):
    code, _, err = command("publish", "owner/name", "--dry-run", "--out", tmp_path / "out")
    assert code == 2 and "is on the hub already" in err
