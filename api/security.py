"""Keeps other web pages and other machines out: Host, Origin and token are checked on every request.

A page on another site can make a browser post to 127.0.0.1 or rebind a host name to it; both carry a foreign Host or
Origin. A server that listens beyond the loopback addresses asks for a token as well.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.errors import ApiError

COOKIE = "latentgraph_token"
OPEN_PATHS = frozenset({"/healthz"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """The host part of a Host header, without its port; empty when it can't be read as one."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def place_of(origin: str) -> str | None:
    """The host and port that an Origin header names; None when it can't be read."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def guard(bound_host: str, token: str | None) -> Middleware:
    """The middleware for a server bound to `bound_host` that demands `token` unless it is None."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if is_loopback(bound_host) and not is_loopback(host_of(host)):
            raise ApiError(403, "bad_host", f"This server answers on this machine only, not as {host!r}.")
        origin = request.headers.get("Origin")
        if origin is not None and place_of(origin) != host.lower():
            raise ApiError(403, "bad_origin", f"Requests from pages of {origin!r} are refused.")
        if token is None or request.path in OPEN_PATHS:
            return await handler(request)
        given = request.query.get("token")
        if not _same(_presented(request, given), token):
            raise ApiError(
                401,
                "token_required",
                "Send the server's token as `Authorization: Bearer TOKEN`, or open the page as `/?token=TOKEN`.",
            )
        response = await handler(request)
        if given is not None and not response.prepared:
            response.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
        return response

    return check


def _presented(request: web.Request, query: str | None) -> str:
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        return header.removeprefix("Bearer ").strip()
    return query or request.cookies.get(COOKIE, "")


def _same(given: str, expected: str) -> bool:
    # A header may hold any bytes, which aiohttp reads as halves of characters where they are no UTF-8.
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass"))
