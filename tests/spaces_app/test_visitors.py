"""Whose token a request is answered with."""

from dataclasses import replace

import pytest

from lead_hub.access import Access
from spaces_app.visitor_reading import known_weights
from spaces_app.visitors import Deployment, listening_address, this_deployment, token_of_headers, visitor

OWN, SHARED, STRANGERS = Deployment(), Deployment(is_shared=True, has_sign_in=True), Deployment(is_shared=True)


def test_a_stranger_asks_as_nobody_even_where_the_machine_is_logged_in() -> None:
    assert visitor(SHARED, token=None).token is False
    assert not visitor(SHARED, token=None).is_signed_in


def test_at_home_the_login_of_the_machine_is_the_visitors_own() -> None:
    assert visitor(OWN, token=None).token is None
    assert visitor(OWN, token=None).is_signed_in


def test_an_estimate_knows_the_weights_of_ones_own_machine_alone() -> None:
    assert known_weights(OWN) == Access()
    assert known_weights(SHARED) is known_weights(STRANGERS) is None


def test_a_token_of_ones_own_is_used_and_never_shown() -> None:
    signed_in = visitor(SHARED, token="hf_secret", name="alice")
    assert signed_in.token == "hf_secret"
    assert "hf_secret" not in f"{signed_in} {signed_in!r}"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, OWN),
        ({"OAUTH_CLIENT_ID": "x"}, OWN),
        ({"SYSTEM": "spaces"}, STRANGERS),
        ({"SPACE_ID": "me/lead-hub"}, replace(STRANGERS, space_id="me/lead-hub")),
        ({"SPACE_HOST": "me-lead-hub.hf.space"}, STRANGERS),
        ({"SPACE_AUTHOR_NAME": "me"}, STRANGERS),
        ({"SPACESHIP_PROMPT_ORDER": "user"}, OWN),  # of a shell
        # Gradio mocks the sign-in where either is missing: whoever pressed it would be the machine's own user.
        ({"SYSTEM": "spaces", "OAUTH_CLIENT_ID": "x"}, STRANGERS),
        ({"SPACE_ID": "me/lead-hub", "OAUTH_CLIENT_ID": "x"}, replace(STRANGERS, space_id="me/lead-hub")),
        (
            {"SYSTEM": "spaces", "SPACE_ID": "me/lead-hub", "OAUTH_CLIENT_ID": "x"},
            replace(SHARED, space_id="me/lead-hub"),
        ),
    ],
)
def test_a_space_is_known_by_any_of_the_hubs_variables(environment: dict[str, str], expected: Deployment) -> None:
    assert this_deployment(environment) == expected


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, "0.0.0.0"),
        ({"GRADIO_SERVER_NAME": "192.168.1.5"}, "192.168.1.5"),
        ({"GRADIO_SERVER_NAME": "::"}, "::"),
        ({"GRADIO_SERVER_NAME": "my-machine"}, "my-machine"),
        ({"GRADIO_SHARE": "True"}, "127.0.0.1"),  # through a tunnel
        ({"GRADIO_ROOT_PATH": "/lead-hub"}, "127.0.0.1"),  # behind a proxy
        ({"SPACE_ID": "me/lead-hub"}, "0.0.0.0"),
        ({"SYSTEM": "spaces", "GRADIO_SERVER_NAME": "127.0.0.1"}, "127.0.0.1"),
    ],
)
def test_whatever_strangers_can_reach_is_shared(environment: dict[str, str], address: str) -> None:
    assert this_deployment(environment).is_shared
    assert listening_address(environment) == address


@pytest.mark.parametrize(
    "environment",
    [
        *[{}, {"GRADIO_SERVER_PORT": "7861"}, {"GRADIO_TEMP_DIR": "/tmp/x"}, {"GRADIO_SHARE": "false"}],
        *[{"GRADIO_SERVER_NAME": name} for name in ("", "localhost", "127.0.0.1", "127.0.1.1", "::1", "[::1]")],
    ],
)
def test_ones_own_page_listens_on_this_machine_alone(environment: dict[str, str]) -> None:
    assert this_deployment(environment) == OWN
    assert listening_address(environment) == "127.0.0.1"


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, None),
        ({"authorization": "Bearer hf_a"}, "hf_a"),
        ({"x-hf-authorization": "bearer hf_b", "authorization": "Bearer hf_a"}, "hf_b"),
        ({"authorization": "Basic hf_a"}, None),
        ({"authorization": "Bearer "}, None),
    ],
)
def test_programs_send_their_token_in_a_header(headers: dict[str, str], token: str | None) -> None:
    assert token_of_headers(headers) == token
