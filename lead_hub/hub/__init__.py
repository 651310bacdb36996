"""One request to the Hub, patiently; its refusals in words; files written whole, and hashed."""

from lead_hub.hub.requests import (
    LOGIN_ADVICE,
    LONGEST_NAP_S,
    TIMEOUT_S,
    TRANSPORT_ERROR,
    HubDownError,
    Token,
    cancellable_bar,
    hub_api,
    limited,
    patiently,
)

__all__ = [
    "LOGIN_ADVICE",
    "LONGEST_NAP_S",
    "TIMEOUT_S",
    "TRANSPORT_ERROR",
    "HubDownError",
    "Token",
    "cancellable_bar",
    "hub_api",
    "limited",
    "patiently",
]
