"""The token of a call, clean before it is used: whatever the HTTP library says of a bad one, it says with the token."""

from typing import TypeAlias

from huggingface_hub import constants

from lead_hub.errors import LeadHubError, hide, redacted

Token: TypeAlias = str | bool | None  # None: this machine's own login; False: nobody's, even where one is logged in


def clean_token(token: Token) -> Token:
    """The token without the blanks and line ends around it that copying leaves; from now on no error names it.

    Raises:
        LeadHubError: a token that no request can carry.
    """
    if not isinstance(token, str):
        return token
    token = token.strip()
    if not token:
        raise LeadHubError(
            "token must be a Hub token, found an empty text: leave it out to ask as this machine's login, or give"
            " False to ask as nobody"
        )
    strange = [place for place, sign in enumerate(token, start=1) if not "!" <= sign <= "~"]
    if strange:
        raise LeadHubError(
            f"token must be of letters, digits and signs without blanks, as in hf_..., found another character at place"
            f" {strange[0]} of {len(token)}: copy it again from {hub_address()}/settings/tokens"
        )
    hide(token)
    return token


def hub_address(endpoint: str | None = None) -> str:
    """The Hub's address as it may be shown and kept: without the user and password that HF_ENDPOINT may hold."""
    return redacted(endpoint or constants.ENDPOINT)
