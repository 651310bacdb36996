"""Who asks, and what a stranger on a shared machine may not: the app runs on one's own machine or as a Space."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

BEARER = "bearer "


@dataclass(frozen=True)
class Deployment:
    """How the app runs: for its own user alone, or for strangers.

    Attributes:
        is_shared: whether visitors are strangers to each other and to the machine, as on a Space: they name no paths,
            and what one may read another may not.
        has_sign_in: whether visitors can sign in with Hugging Face.
    """

    is_shared: bool = False
    has_sign_in: bool = False


def this_deployment(environment: Mapping[str, str] = os.environ) -> Deployment:
    """As the variables say that the Hub sets in a Space."""
    is_shared = environment.get("SYSTEM") == "spaces"
    return Deployment(is_shared, is_shared and "OAUTH_CLIENT_ID" in environment)


@dataclass(frozen=True)
class Visitor:
    """Whoever asks.

    Attributes:
        token: what the Hub is asked with: the visitor's own token, False for nobody's, None for the login of the
            machine that the app runs on, which is the visitor's own.
        name: user name on the Hub, where known.
    """

    token: str | bool | None
    name: str | None = None

    def __repr__(self) -> str:
        """Without the token, wherever this may be printed."""
        return f"Visitor(name={self.name!r})"

    @property
    def is_signed_in(self) -> bool:
        """Whether the Hub would know who asks."""
        return self.token is not False


def visitor(deployment: Deployment, *, token: str | None, name: str | None = None) -> Visitor:
    """The visitor with the token that came with the request, if one did."""
    if token:
        return Visitor(token, name)
    return Visitor(False if deployment.is_shared else None)


def token_of_headers(headers: Mapping[str, str]) -> str | None:
    """The Hub token that a program sends: `gradio_client.Client(..., token=...)`, or an MCP client's header."""
    for name in ("x-hf-authorization", "authorization"):
        value = headers.get(name, "")
        if value.lower().startswith(BEARER):
            return value[len(BEARER) :].strip() or None
    return None
