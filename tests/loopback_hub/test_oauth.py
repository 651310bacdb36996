"""Sign in with Hugging Face, step by step over plain HTTP, as an application and a browser do it."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.loopback_hub.server import HubServer

ORIGIN = "http://localhost:7860"
CALLBACK = f"{ORIGIN}/login/callback?_target_url=%2F"


@dataclass
class Application:
    """What a Space does: sends the browser away, and exchanges the code with which it comes back."""

    hub: HubServer
    scopes: str = "openid profile read-repos contribute-repos"

    def __post_init__(self) -> None:
        self.known = self.hub.add_oauth_app(ORIGIN)
        self.about = httpx.get(f"{self.hub.endpoint}/.well-known/openid-configuration").json()

    def asked(self, **changes: str) -> dict[str, str]:
        query = {"response_type": "code", "client_id": self.known.client_id, "redirect_uri": CALLBACK}
        return {**query, "scope": self.scopes, "state": "s & t", "nonce": "once", **changes}

    def come_back(self, user: str, **changes: str) -> dict[str, str]:
        """The query of the address to which the browser is sent back; the form is filled in as the page has it."""
        page = httpx.get(self.about["authorization_endpoint"], params=self.asked(**changes)).text
        hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page))
        form = {**{name: value.replace("&amp;", "&") for name, value in hidden.items()}, "user": user}
        answer = httpx.post(self.about["authorization_endpoint"], data=form)
        assert answer.status_code == 303
        address = urlsplit(answer.headers["location"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{ORIGIN}/login/callback"
        return {name: value for name, (value,) in parse_qs(address.query).items()}

    def exchange(self, code: str, *, secret: str | None = None, **changes: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **changes}
        auth = (self.known.client_id, secret or self.known.client_secret)
        return httpx.post(self.about["token_endpoint"], data=form, auth=auth)

    def token_of(self, user: str) -> str:
        return self.exchange(self.come_back(user)["code"]).json()["access_token"]


def status_of(caught: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return caught.value.response.status_code


def test_a_code_becomes_a_token_of_the_chosen_user_and_a_signed_identity(hub: HubServer) -> None:
    hub.add_user("alice", orgs=("team",))
    hub.add_user("bob")
    application = Application(hub)
    back = application.come_back("alice")
    assert (back["state"], back["_target_url"]) == ("s & t", "/")
    granted = application.exchange(back["code"]).json()
    assert (granted["token_type"], granted["scope"]) == ("bearer", application.scopes)
    whoami = HfApi(token=granted["access_token"]).whoami()
    assert (whoami["name"], [org["name"] for org in whoami["orgs"]]) == ("alice", ["team"])
    (key,) = httpx.get(application.about["jwks_uri"]).json()["keys"]
    identity = jwt.decode(
        granted["id_token"], jwt.PyJWK(key), algorithms=["RS256"], audience="app-1", issuer=hub.endpoint
    )
    assert (identity["sub"], identity["nonce"]) == ("alice", "once")
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}
    known = httpx.get(application.about["userinfo_endpoint"], headers=bearer).json()
    assert known == {key: identity[key] for key in ("sub", "name", "preferred_username", "profile", "picture")}
    assert known["preferred_username"] == "alice"


def test_whoever_declines_comes_back_without_a_code(hub: HubServer) -> None:
    hub.add_user("alice")
    back = Application(hub).come_back("")
    assert (back["error"], back["state"]) == ("access_denied", "s & t")
    assert "code" not in back


def test_a_code_is_good_once_for_the_application_that_it_was_made_for(hub: HubServer) -> None:
    hub.add_user("alice")
    application = Application(hub)
    for spoilt in ({"secret": "guessed"}, {"redirect_uri": f"{ORIGIN}/elsewhere"}, {"grant_type": "password"}):
        refused = application.exchange(application.come_back("alice")["code"], **spoilt)
        expected = (401, "invalid_client") if "secret" in spoilt else (400, "invalid_grant")
        assert (refused.status_code, refused.json()["error"]) == expected
    code = application.come_back("alice")["code"]
    assert application.exchange(code).status_code == 200
    assert application.exchange(code).status_code == 400
    stolen = Application(hub).exchange(application.come_back("alice")["code"])
    assert stolen.status_code == 400


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "nobody"}, {"redirect_uri": "http://evil.example/"}, {"scope": "write-repos"}],
    ids=["unknown application", "foreign address", "scope not granted"],
)
def test_no_page_for_a_doubtful_request(hub: HubServer, changes: dict[str, str]) -> None:
    application = Application(hub)
    answer = httpx.get(application.about["authorization_endpoint"], params=application.asked(**changes))
    assert answer.status_code == 400
    assert changes.popitem()[1] in answer.json()["error"]


def test_the_scopes_of_the_space_read_all_and_change_what_the_space_created(hub: HubServer) -> None:
    hub.add_user("alice")
    hub.add_repo("alice/photos", kind="dataset", files={"x.txt": b"x"}, private=True)
    application = Application(hub)
    visitor = HfApi(token=application.token_of("alice"))
    assert visitor.dataset_info("alice/photos").private
    with pytest.raises(HfHubHTTPError) as caught:
        visitor.upload_file(path_or_fileobj=b"y", path_in_repo="y", repo_id="alice/photos", repo_type="dataset")
    assert status_of(caught) == 403
    visitor.create_repo("alice/scores", repo_type="dataset")
    again = HfApi(token=application.token_of("alice"))  # the next day
    again.upload_file(path_or_fileobj=b"y", path_in_repo="y", repo_id="alice/scores", repo_type="dataset")
    assert hub.repo("alice/scores", kind="dataset").files_at()["y"] == b"y"


def test_who_only_says_who_they_are_may_do_nothing_more(hub: HubServer) -> None:
    hub.add_user("alice")
    hub.add_repo("alice/photos", kind="dataset", private=True)
    visitor = HfApi(token=Application(hub, scopes="openid profile").token_of("alice"))
    assert visitor.whoami()["name"] == "alice"
    with pytest.raises(RepositoryNotFoundError):
        visitor.dataset_info("alice/photos")
    with pytest.raises(HfHubHTTPError) as caught:
        visitor.create_repo("alice/scores", repo_type="dataset")
    assert status_of(caught) == 403
