"""Who asks, and what a stranger on a shared machine may not: the app runs on one's own machine or as a Space."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

BEARER = "bearer "
THIS_MACHINE, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - a Space's proxy is outside


@dataclass(frozen=True)
class Deployment:
    """How the app runs: for its own user alone, or for strangers.

    Attributes:
        is_shared: whether visitors are strangers to each other and to the machine, as on a Space: they name no paths,
            and what one may read another may not.
        has_sign_in: whether visitors can sign in with Hugging Face.
        space_id: of the Space that it runs in, whose repository everybody finds by it.
    """

    is_shared: bool = False
    has_sign_in: bool = False
    space_id: str | None = None


def this_deployment(environment: Mapping[str, str] = os.environ) -> Deployment:
    """Shared at any sign of a Space or of strangers; one's own is what this machine alone can reach."""
    is_shared = _is_space(environment) or _lets_others_in(environment)
    # Without both of these Gradio's sign-in is a mock, which gives every visitor the login of the machine.
    has_real_sign_in = environment.get("SYSTEM") == "spaces" and bool(environment.get("SPACE_ID"))
    space_id = environment.get("SPACE_ID") or None
    return Deployment(is_shared, has_real_sign_in and "OAUTH_CLIENT_ID" in environment, space_id)


def listening_address(environment: Mapping[str, str] = os.environ) -> str:
    """Where the page listens: on this machine alone, unless this is a Space or the environment names another place."""
    if not this_deployment(environment).is_shared:
        return THIS_MACHINE
    return environment.get("GRADIO_SERVER_NAME") or (EVERYWHERE if _is_space(environment) else THIS_MACHINE)


def _is_space(environment: Mapping[str, str]) -> bool:
    """By any of the variables that the Hub sets; a Space that was copied elsewhere may have but some."""
    return environment.get("SYSTEM") == "spaces" or any(name.startswith("SPACE_") for name in environment)


def _lets_others_in(environment: Mapping[str, str]) -> bool:
    """Whether Gradio is told to listen beyond this machine, to open a tunnel, or to stand behind a proxy."""
    shares = environment.get("GRADIO_SHARE", "").strip().lower() not in ("", "false", "0", "no")
    behind = any(environment.get(name) for name in ("GRADIO_ROOT_PATH", "GRADIO_SHARE_SERVER_ADDRESS"))
    name = environment.get("GRADIO_SERVER_NAME", "").strip().strip("[]")
    return shares or behind or not (name in ("", "localhost") or _is_loopback(name))


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:  # a host's name, which may lead anywhere
        return False


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
