"""Sign in with Hugging Face: the pages of an OpenID provider, as the Hub has them for Spaces.

Whoever is sent to /oauth/authorize chooses on its page which known user to be. The access token that the application
then gets is a token of that user, with the role that the application's scopes amount to.
"""

import base64
import binascii
import html
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.loopback_hub.access import Role, signed_in
from tests.loopback_hub.wire import Answer, Call, RefusedError, json_answer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SCOPES = {
    *("openid", "profile", "email", "read-repos", "gated-repos", "contribute-repos", "write-repos", "manage-repos"),
    *("inference-api", "jobs", "write-discussions", "write-collections"),
}
DEFAULT_SCOPES = ("openid", "profile", "read-repos", "contribute-repos")
LIFETIME_S = 8 * 60 * 60
KEY_ID = "test-hub"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Authorize</title><link rel="icon" href="data:,"></head>
<body><h1>Sign in to {app}</h1><p>It asks for: {scopes}</p><form method="post" action="/oauth/authorize">
{hidden}
{buttons}
<button name="user" value="">Cancel</button>
</form></body></html>
"""


@dataclass(frozen=True)
class OAuthApp:
    client_id: str
    client_secret: str
    origin: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class SignIn:
    """What a code stands for, until it is used."""

    client_id: str
    redirect_uri: str
    user: str
    scopes: tuple[str, ...]
    nonce: str | None


def configuration(call: Call) -> Answer:
    root = call.hub.endpoint
    return json_answer(
        {
            "issuer": root,
            **{f"{page}_endpoint": f"{root}/oauth/{page}" for page in ("token", "userinfo")},
            "authorization_endpoint": f"{root}/oauth/authorize",
            "jwks_uri": f"{root}/oauth/jwks",
            "scopes_supported": sorted(SCOPES),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
    )


@cache
def _signing_key() -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def keys(call: Call) -> Answer:
    from jwt.algorithms import RSAAlgorithm

    public = RSAAlgorithm.to_jwk(_signing_key().public_key(), as_dict=True)
    return json_answer({"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]})


def _checked(call: Call, asked: dict[str, str]) -> tuple[OAuthApp, tuple[str, ...]]:
    """The application that asks, and for which scopes."""
    app = call.hub.oauth_apps.get(asked.get("client_id", ""))
    if app is None:
        raise RefusedError(400, f"no application has the client id {asked.get('client_id')}")
    address = urlsplit(asked.get("redirect_uri", ""))
    if f"{address.scheme}://{address.netloc}" != app.origin:
        raise RefusedError(400, f"redirect_uri must target {app.origin}, found {asked.get('redirect_uri')}")
    if asked.get("response_type") != "code":
        raise RefusedError(400, "response_type must be code")
    scopes = tuple(asked.get("scope", "").split())
    if strange := sorted(set(scopes) - set(app.scopes)):
        raise RefusedError(400, f"{app.client_id} was not given the scope {', '.join(strange)}")
    return app, scopes


def ask(call: Call) -> Answer:
    """A page with one button for each user."""
    asked = {name: values[0] for name, values in call.query.items()}
    app, scopes = _checked(call, asked)
    names = sorted({user.name for user in call.hub.users.values()})
    hidden = [
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in asked.items()
    ]
    buttons = [f'<button name="user" value="{html.escape(name)}">{html.escape(name)}</button>' for name in names]
    page = PAGE.format(
        app=html.escape(app.client_id),
        scopes=html.escape(" ".join(scopes)),
        hidden="\n".join(hidden),
        buttons="\n".join(buttons),
    )
    return Answer(page.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def _form(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode(), keep_blank_values=True).items()}


def answer(call: Call) -> Answer:
    """Back to the application: with a code, or with the news that the user would rather not."""
    asked = _form(call)
    app, scopes = _checked(call, asked)
    if name := asked.get("user"):
        code = secrets.token_urlsafe(16)
        call.hub.oauth_codes[code] = SignIn(app.client_id, asked["redirect_uri"], name, scopes, asked.get("nonce"))
        outcome = {"code": code}
    else:
        outcome = {"error": "access_denied", "error_description": "The user denied the request"}
    if "state" in asked:
        outcome["state"] = asked["state"]
    joint = "&" if urlsplit(asked["redirect_uri"]).query else "?"
    return Answer(status=303, headers={"Location": f"{asked['redirect_uri']}{joint}{urlencode(outcome)}"})


def exchange(call: Call) -> Answer:
    """The access token and the signed identity of the user behind a code, once."""
    asked = _form(call)
    app = _authenticated(call, asked)
    with call.hub.lock:
        sign_in = call.hub.oauth_codes.pop(asked.get("code", ""), None)
    expected = sign_in and (sign_in.client_id, sign_in.redirect_uri)
    if asked.get("grant_type") != "authorization_code" or expected != (app.client_id, asked.get("redirect_uri")):
        raise RefusedError(400, "invalid_grant")
    orgs = {org for user in call.hub.users.values() if user.name == sign_in.user for org in user.orgs}
    token = call.hub.add_user(sign_in.user, orgs=tuple(sorted(orgs)), role=_role(sign_in.scopes))
    scopes = " ".join(sign_in.scopes)
    granted = {"access_token": token, "token_type": "bearer", "expires_in": LIFETIME_S, "scope": scopes}
    if "openid" in sign_in.scopes:
        granted["id_token"] = _id_token(call, sign_in)
    return json_answer(granted, headers={"Cache-Control": "no-store"})


def _authenticated(call: Call, asked: dict[str, str]) -> OAuthApp:
    """The application that proved itself with its secret, in a header or in the form."""
    given = (asked.get("client_id", ""), asked.get("client_secret", ""))
    header = call.headers.get("authorization", "")
    if header.startswith("Basic "):
        try:
            pair = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise RefusedError(401, "invalid_client") from error
        client_id, _, secret = pair.partition(":")
        given = (client_id, secret)
    app = call.hub.oauth_apps.get(given[0])
    if app is None or app.client_secret != given[1]:
        raise RefusedError(401, "invalid_client")
    return app


def _role(scopes: tuple[str, ...]) -> Role:
    if "write-repos" in scopes or "manage-repos" in scopes:
        return "write"
    reads, contributes = "read-repos" in scopes, "contribute-repos" in scopes
    if reads and contributes:
        return "read+contribute"
    return "read" if reads else "contribute" if contributes else "identify"


def _claims(call: Call, name: str) -> dict[str, Any]:
    profile = f"{call.hub.endpoint}/{name}"
    return {"sub": name, "name": name.title(), "preferred_username": name, "profile": profile, "picture": "data:,"}


def _id_token(call: Call, sign_in: SignIn) -> str:
    import jwt

    now = int(time.time())
    claims = {**_claims(call, sign_in.user), "iss": call.hub.endpoint, "aud": sign_in.client_id}
    claims |= {"iat": now, "exp": now + LIFETIME_S, **({"nonce": sign_in.nonce} if sign_in.nonce else {})}
    return jwt.encode(claims, _signing_key(), algorithm="RS256", headers={"kid": KEY_ID})


def userinfo(call: Call) -> Answer:
    return json_answer(_claims(call, signed_in(call).name))
