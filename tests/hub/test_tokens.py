"""A call's token: clean before it is used, refused in words that do not say it."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from lead_hub import HubError, Leaderboard
from lead_hub.access import Access
from lead_hub.errors import LeadHubError
from lead_hub.hub import clean_token, hub_api
from lead_hub.hub.requests import patiently
from tests.loopback_hub import HubServer

TOKEN = "hf_" + "aB3" * 11 + "x"


@pytest.mark.parametrize("around", [f"{TOKEN}\n", f"  {TOKEN}\r\n", f"\t{TOKEN} "])
def test_blanks_around_a_token_are_no_part_of_it(around: str) -> None:
    assert Access(token=around).token == TOKEN
    assert hub_api(around).token == TOKEN


def test_who_asks_with_a_line_break_is_known(hub: HubServer) -> None:
    hub.add_repo("alice/secret", files={"config.json": b"{}"}, private=True)
    api = hub_api(hub.add_user("alice") + "\n")
    assert patiently(lambda: api.model_info("alice/secret"), asked_for="it").private


@pytest.mark.parametrize("strange", ["\n", " ", "\x00", "\x7f", "é", "\N{ZERO WIDTH SPACE}"])
def test_a_token_that_no_request_can_carry_is_refused_and_not_said(strange: str) -> None:
    bad = f"{TOKEN[:20]}{strange}{TOKEN[20:]}"
    with pytest.raises(LeadHubError, match="found another character at place 21 of 38: copy it again") as caught:
        Access(token=bad)
    assert TOKEN[:20] not in str(caught.value)
    with pytest.raises(LeadHubError, match="at place 21"):
        Leaderboard.from_hub("alice/scores", dataset="org/x", token=bad)


def test_no_token_is_a_login_or_nobody_and_an_empty_one_neither() -> None:
    assert clean_token(None) is None
    assert clean_token(False) is False
    with pytest.raises(LeadHubError, match="found an empty text: leave it out"):
        clean_token(" \n")


@pytest.mark.usefixtures("hub")
def test_a_login_that_no_request_can_carry_is_one_clear_error() -> None:
    place = Path(constants.HF_TOKEN_PATH)
    place.write_text(f"{TOKEN[:20]}\0{TOKEN[20:]}")
    try:
        with pytest.raises(HubError, match=r"it cannot be asked for, .*check the token \(HF_TOKEN") as caught:
            patiently(lambda: hub_api().model_info("org/model"), asked_for="it")
    finally:
        place.unlink()
    assert TOKEN[:20] not in str(caught.value)
    assert TOKEN[20:] not in str(caught.value)
