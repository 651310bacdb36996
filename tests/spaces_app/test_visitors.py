"""Whose token a request is answered with."""

import pytest

from spaces_app.visitors import Deployment, this_deployment, token_of_headers, visitor

OWN, SHARED = Deployment(), Deployment(is_shared=True, has_sign_in=True)


def test_a_stranger_asks_as_nobody_even_where_the_machine_is_logged_in() -> None:
    assert visitor(SHARED, token=None).token is False
    assert not visitor(SHARED, token=None).is_signed_in


def test_at_home_the_login_of_the_machine_is_the_visitors_own() -> None:
    assert visitor(OWN, token=None).token is None
    assert visitor(OWN, token=None).is_signed_in


def test_a_token_of_ones_own_is_used_and_never_shown() -> None:
    signed_in = visitor(SHARED, token="hf_secret", name="alice")
    assert signed_in.token == "hf_secret"
    assert "hf_secret" not in f"{signed_in} {signed_in!r}"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Deployment()),
        ({"OAUTH_CLIENT_ID": "x"}, Deployment()),
        ({"SYSTEM": "spaces"}, Deployment(is_shared=True)),
        ({"SYSTEM": "spaces", "OAUTH_CLIENT_ID": "x"}, Deployment(is_shared=True, has_sign_in=True)),
    ],
)
def test_a_space_is_known_by_the_hubs_variables(environment: dict[str, str], expected: Deployment) -> None:
    assert this_deployment(environment) == expected


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
