"""What an error never says: tokens, passwords, and how to run what a stranger's file holds."""

import io
import os
import pickle

import pytest
import torch

from lead_hub import errors
from lead_hub.errors import CandidateError, DatasetError, HubError, LeadHubError

TOKEN = "hf_" + "aB3" * 11 + "x"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Illegal header value b'Bearer {TOKEN}\\n'", "Illegal header value b'Bearer ***'"),
        ("authorization: bearer abc.def-123, next", "authorization: bearer ***, next"),
        (f"refused {TOKEN}: log in", "refused ***: log in"),
        ("refused hf_oauth_eyJhbGci.eyJzdWIi-x.SflKx_w5c: log in", "refused ***: log in"),
        ("https://user:se@cret@hub.example/api?x=a@b cannot", "https://hub.example/api?x=a@b cannot"),
        ("https://onlytoken@hub.example cannot", "https://hub.example cannot"),
        # No secrets: a pinned commit, a name of the client's, a folder.
        ("hf://datasets/org/x@" + "0" * 40, "hf://datasets/org/x@" + "0" * 40),
        ("hf_hub_download in /data/hf_cache/a@b", "hf_hub_download in /data/hf_cache/a@b"),
        ("pass allow_pickle=True to read them with torch's weights_only", None),
    ],
)
@pytest.mark.parametrize("kind", [LeadHubError, HubError, DatasetError])
def test_an_error_gives_no_secret_away(kind: type[LeadHubError], said: str, kept: str | None) -> None:
    error = kind(said)
    assert str(error) == (said if kept is None else kept)
    assert TOKEN not in repr(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(CandidateError(said, stage="load")) == str(error)


def test_a_token_of_another_form_is_hidden_once_it_is_in_use() -> None:
    assert str(HubError("who is my-own-hub-token?")) == "who is my-own-hub-token?"
    errors.hide("my-own-hub-token")
    errors.hide("short")
    assert str(HubError("who is my-own-hub-token? in short")) == "who is ***? in short"


class Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def refusal_of(saved: object, *, zipped: bool) -> str:
    file = io.BytesIO()
    torch.save(saved, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(file, weights_only=True)
    return str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("saved", "told"),
    [({"a": Harm()}, "posix.system"), ({"a": torch.nn.Linear(1, 1)}, "torch.nn.modules.linear.Linear")],
)
def test_the_advice_to_load_a_pickle_unsafely_is_not_passed_on(saved: object, told: str, *, zipped: bool) -> None:
    refusal = refusal_of(saved, zipped=zipped)
    assert "`False`" in refusal or "safe_globals" in refusal  # the libraries still give it
    message = str(CandidateError(f"weights must be whole, in /x they are not: {refusal}; get others", stage="load"))
    assert message.startswith("weights must be whole, in /x they are not: Weights only load failed.")
    assert message.endswith("; get others")
    assert told in message
    for advice in ("False", "safe_globals", "likely succeed", "trust"):
        assert advice not in message


def test_the_advice_to_run_remote_code_is_not_passed_on() -> None:
    asked = (
        "The repository org/x contains custom code which must be executed to correctly load the model. You can inspect"
        " the repository content at https://hf.co/org/x .\nPlease pass the argument `trust_remote_code=True` to allow"
        " custom code to be run."
    )
    message = str(CandidateError(f"config.json must be known, found 'y': {asked}; take another", stage="load"))
    assert "trust_remote_code" not in message
    assert message.startswith("config.json must be known, found 'y': The repository org/x contains custom code")
    assert message.endswith("; take another")
    alone = str(CandidateError("config.json must be known: please set trust_remote_code=True.", stage="load"))
    assert alone == "config.json must be known"
