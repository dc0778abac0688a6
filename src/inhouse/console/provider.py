"""Signing in through an OpenID Connect provider: the authorization code flow with PKCE.

    /sign-in/provider → provider → /sign-in/provider/callback → the session's cookie

What is believed of an ID token: its signature by a key that the provider publishes over its own address, its issuer,
audience, nonce and times (OpenID Connect Core 1.0, 3.1.3.7). A user is found by issuer and subject, the first time by
the verified address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import httpx2
import jwt
import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inhouse.access.accounts import Accounts, Vouched
from inhouse.console.playground import base_of
from inhouse.console.session import set_cookie
from inhouse.console.signing import Signing, local
from inhouse.kit.errors import APIError
from inhouse.settings import ConsoleSettings

COOKIE = "inhouse_provider"
CALLBACK = "/sign-in/provider/callback"
_FLOW_S = 600
_FRESH_S = 3600.0
_LEEWAY_S = 60
_TIMEOUT_S = 15.0
_MOST_BYTES = 1024 * 1024
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by public keys only: a shared secret must never be taken for one."""

_log = structlog.get_logger(__name__)


class ProviderError(Exception):
    """The provider did not vouch for anybody. The message says why, to whom tries to sign in."""


class _Flow(msgspec.Struct):
    """What a browser that was sent to the provider must come back with."""

    state: str
    nonce: str
    verifier: str
    to: str


class _Known(msgspec.Struct, frozen=True):
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Provider:
    """
    Args:
        settings: with ``oidc_issuer`` and ``oidc_client_id``.
    """

    def __init__(self, settings: ConsoleSettings, signing: Signing, accounts: Accounts) -> None:
        self._settings = settings
        self._signing = signing
        self._accounts = accounts
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)
        self._known: tuple[float, _Known] | None = None
        self._keys: tuple[float, jwt.PyJWKSet] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in/provider", self.begin, methods=["GET"]),
            Route(CALLBACK, self.back, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        to = local(request.query_params.get("next", ""))
        try:
            known = await self._discover()
        except ProviderError as error:
            return await self._refused(request, str(error))
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        flow = _Flow(state, nonce, verifier, to)
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._here(request),
            "scope": "openid email profile",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": _challenge(flow.verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in known.authorization_endpoint else "?"
        response = RedirectResponse(f"{known.authorization_endpoint}{joint}{urlencode(asked)}", 303)
        # Lax: the way back is a navigation that comes from the provider.
        kept = base64.urlsafe_b64encode(msgspec.json.encode(flow)).decode()
        set_cookie(request, response, COOKIE, kept, _FLOW_S, samesite="lax")
        response.headers["cache-control"] = "no-store"
        return response

    async def back(self, request: Request) -> Response:
        flow = _flow(request.cookies.get(COOKIE, ""))
        query = request.query_params
        if flow is None or not hmac.compare_digest(flow.state.encode(), query.get("state", "").encode()):
            return await self._refused(request, "This sign-in was not begun here, or too long ago. Try once more.")
        try:
            if query.get("error"):
                told = query.get("error_description") or query["error"]
                raise ProviderError(f"{self._settings.oidc_name} refused: {told[:200]}")
            token = await self._exchange(request, query.get("code", ""), flow)
            vouched = await self._vouched(token, flow.nonce)
            user_id = await self._accounts.known(vouched, role=self._role(vouched))
            if user_id is None:
                raise ProviderError(f"{vouched.email} is no user here. Ask an owner to invite this address.")
        except (ProviderError, APIError) as error:
            return await self._refused(request, str(error))
        admitted = await self._signing.admit(request, flow.to, user_id=user_id)
        # A page and not a redirect: the session's cookie is only sent where this site itself leads on.
        response = self._signing.pages.answer(request, "signed_in.html.jinja", to=flow.to)
        for name, value in admitted.raw_headers:
            if name == b"set-cookie":
                response.raw_headers.append((name, value))
        response.delete_cookie(COOKIE)
        response.headers["cache-control"] = "no-store"
        return response

    async def close(self) -> None:
        await self._client.aclose()

    def _role(self, vouched: Vouched) -> str:
        """Of a new user whom nobody invited; empty where there is none for the address."""
        domain = vouched.email.rpartition("@")[2].lower()
        domains = [each.lower() for each in self._settings.oidc_domains]
        role = self._settings.oidc_role
        return role if role != "none" and domain in domains else ""

    def _here(self, request: Request) -> str:
        base = self._settings.url.rstrip("/") or base_of(request)
        return base + CALLBACK

    async def _discover(self) -> _Known:
        if self._known is None or self._known[0] < time.monotonic() - _FRESH_S:
            issuer = self._settings.oidc_issuer
            found = await self._fetch("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
            try:
                known = msgspec.convert(found, _Known)
            except msgspec.ValidationError as error:
                raise ProviderError(f"{self._settings.oidc_name} describes itself wrongly: {error}") from error
            if known.issuer.rstrip("/") != issuer.rstrip("/"):
                raise ProviderError(f"{self._settings.oidc_name} says that it is another issuer: {known.issuer}")
            self._known = time.monotonic(), known
        return self._known[1]

    async def _exchange(self, request: Request, code: str, flow: _Flow) -> str:
        """The ID token for a code."""
        known, settings = await self._discover(), self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._here(request),
            "code_verifier": flow.verifier,
        }
        headers = {}
        secret = settings.oidc_client_secret.reveal() if settings.oidc_client_secret else ""
        if secret and "client_secret_basic" in known.token_endpoint_auth_methods_supported:
            pair = urlencode({"": settings.oidc_client_id})[1:] + ":" + urlencode({"": secret})[1:]
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = settings.oidc_client_id
            if secret:
                form["client_secret"] = secret
        found = await self._fetch("POST", known.token_endpoint, data=form, headers=headers)
        token = found.get("id_token")
        if not isinstance(token, str):
            raise ProviderError(f"{settings.oidc_name} sent no ID token.")
        return token

    async def _vouched(self, token: str, nonce: str) -> Vouched:
        known, settings = await self._discover(), self._settings
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(known, header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[each for each in _ALGORITHMS if each == header.get("alg")],
                audience=settings.oidc_client_id,
                issuer=known.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )
        except jwt.PyJWTError as error:
            _log.warning("an ID token was refused", issuer=known.issuer, reason=str(error))
            raise ProviderError(f"{settings.oidc_name} sent a token that cannot be believed: {error}.") from error
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != settings.oidc_client_id:
            raise ProviderError("The token is meant for another application.")
        if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise ProviderError("The token belongs to another sign-in.")
        email = str(claims.get("email") or "").strip().lower()
        if not email:
            raise ProviderError(f"{settings.oidc_name} tells no address.")
        if claims.get("email_verified") not in (True, "true") and not settings.oidc_trust_addresses:
            raise ProviderError(f"{settings.oidc_name} has not verified the address {email}.")
        return Vouched(
            known.issuer, str(claims["sub"]), email, str(claims.get("name") or email.partition("@")[0])[:200]
        )

    async def _key(self, known: _Known, kid: str | None) -> jwt.PyJWK:
        """The published key that a token names; fetched anew where it is not among those that are known."""
        for stale in (False, True):
            if stale or self._keys is None or self._keys[0] < time.monotonic() - _FRESH_S:
                found = await self._fetch("GET", known.jwks_uri)
                self._keys = time.monotonic(), jwt.PyJWKSet.from_dict(found)
            keys = self._keys[1].keys
            for key in keys:
                if key.key_id == kid or (kid is None and len(keys) == 1):
                    return key
        raise ProviderError(f"{self._settings.oidc_name} signed with a key that it does not publish.")

    async def _fetch(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        name = self._settings.oidc_name
        try:
            async with self._client.stream(method, url, **more) as answer:
                body = b""
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise ProviderError(f"{name} answered with too much.")
                if answer.status_code != 200:
                    _log.warning("the identity provider failed", url=url, status=answer.status_code)
                    raise ProviderError(f"{name} answered {answer.status_code}.")
                found = msgspec.json.decode(body, type=dict[str, Any])
        except httpx2.HTTPError as error:
            _log.warning("the identity provider cannot be reached", url=url, reason=str(error))
            raise ProviderError(f"{name} cannot be reached.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProviderError(f"{name} did not answer with JSON.") from error
        return found

    async def _refused(self, request: Request, problem: str) -> Response:
        return await self._signing.refused(request, problem)


def _flow(kept: str) -> _Flow | None:
    try:
        flow = msgspec.json.decode(base64.urlsafe_b64decode(kept), type=_Flow)
    except (ValueError, msgspec.DecodeError):
        return None
    flow.to = local(flow.to)
    return flow


def _challenge(verifier: str) -> str:
    """RFC 7636, 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
