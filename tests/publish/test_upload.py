"""What is asked of the hub, by a hub that takes only what the real one takes."""

import inspect
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, RepositoryNotFoundError

from minireason.errors import PublishError
from minireason.publish.upload import check_repo, upload, upload_command, who_will_see


def refused(error, status):
    request = httpx.Request("POST", "https://huggingface.co/api")
    return error(f"{status} from the hub", response=httpx.Response(status, request=request))


class FakeHub:
    """Repositories by name and whether they are private; calls must fit HfApi's signatures."""

    def __init__(self, **repos):
        self.repos, self.uploaded, self.error = repos, [], None

    def call(self, name, **given):
        inspect.signature(getattr(HfApi, name)).bind(self, **given)
        if self.error:
            raise self.error

    def repo_info(self, repo_id):
        self.call("repo_info", repo_id=repo_id)
        if repo_id not in self.repos:
            raise refused(RepositoryNotFoundError, 404)
        return SimpleNamespace(private=self.repos[repo_id])

    def create_repo(self, repo_id, *, private, exist_ok):
        self.call("create_repo", repo_id=repo_id, private=private, exist_ok=exist_ok)
        assert exist_ok
        self.repos.setdefault(repo_id, private)
        return f"https://huggingface.co/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        given = {"repo_id": repo_id, "folder_path": folder_path, "commit_message": commit_message}
        self.call("upload_folder", **given)
        self.uploaded.append(given)


@pytest.mark.parametrize("is_public", [False, True])
def test_a_new_repository_is_private_unless_asked_otherwise(is_public, tmp_path):
    hub = FakeHub()
    who = who_will_see(hub, "me/it", is_public=is_public)
    assert who == ("new, public" if is_public else "new, private")
    assert upload(hub, tmp_path, "me/it", is_public=is_public) == "https://huggingface.co/me/it"
    assert hub.repos == {"me/it": not is_public}
    assert [each["folder_path"] for each in hub.uploaded] == [tmp_path]


def test_who_reads_a_repository_that_is_there_is_told():
    hub = FakeHub(**{"me/open": False, "me/closed": True})
    assert who_will_see(hub, "me/open", is_public=False) == "there already, PUBLIC"
    assert who_will_see(hub, "me/closed", is_public=True) == "there already, private"


@pytest.mark.parametrize(
    "error",
    [
        refused(HfHubHTTPError, 403),
        refused(RepositoryNotFoundError, 401),
        LocalTokenNotFoundError("no token"),
        httpx.ConnectError("no network"),
    ],
)
def test_what_the_hub_refuses_is_one_line(error, tmp_path):
    hub = FakeHub()
    hub.error = error
    with pytest.raises(PublishError, match="the hub refused") as told:
        upload(hub, tmp_path, "me/it", is_public=False)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("repo", ["solver", "me/it/too", "me/-it", "me/a b", ""])
def test_a_name_the_hub_would_not_take_is_refused(repo):
    with pytest.raises(PublishError, match=r"--repo is"):
        check_repo(repo)


def test_the_command_that_is_shown_is_one_of_the_hub_s_own_tool(tmp_path):
    from huggingface_hub.cli.upload import upload as hf_upload

    shown = upload_command(tmp_path, "me/it", is_public=False).split()
    assert shown == ["hf", "upload", "me/it", str(tmp_path), ".", "--private"]
    names = list(inspect.signature(hf_upload).parameters)
    assert names[:3] == ["repo_id", "local_path", "path_in_repo"] and "private" in names
