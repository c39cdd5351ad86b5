"""
What a C{.well-known} response says.

Source: Matrix specification, Server-Server API, "Server discovery" and step 3
of "Resolving server names": whatever is not a valid delegation means "go on
with the name itself".
"""

from __future__ import annotations

import json

import attrs

from .._server_name import ServerName
from ..errors import InvalidServerName

BODY_STATUS = 200


@attrs.frozen
class Delegation:
    """
    Another name answers for the server.
    """

    to: ServerName

    def __str__(self) -> str:
        return f"delegates to {self.to}"


@attrs.frozen
class NoDelegation:
    """
    The name answers for itself.

    @ivar reason: why there is no delegation.
    @ivar temporary: whether that may be otherwise in a moment: the response
        was missing or an error of the server, and not a decided answer.
    """

    reason: str
    temporary: bool

    def __str__(self) -> str:
        return f"no delegation: {self.reason}"


def read_delegation(status: int, body: bytes) -> Delegation | NoDelegation:
    """
    Read a response to the request for C{/.well-known/matrix/server}.

    @param status: the HTTP status of the last response, redirects followed.
    """
    if status != BODY_STATUS:
        return NoDelegation(f"status {status}", temporary=status >= 500)
    try:
        # RFC 8259, section 8.1: a BOM must not be sent but may be ignored.
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return NoDelegation(f"the body is not JSON ({type(error).__name__})", temporary=False)
    return _read_document(document)


def _refuse_constant(name: str) -> object:
    """
    Refuse C{NaN} and the infinities, which Python reads and JSON does not
    have (RFC 8259, section 6).
    """
    raise ValueError(f"{name} is not JSON")


def _read_document(document: object) -> Delegation | NoDelegation:
    """
    Find the delegated name in the JSON body.
    """
    if not isinstance(document, dict):
        return NoDelegation("the body is not a JSON object", temporary=False)
    name = document.get("m.server")
    if not isinstance(name, str):
        return NoDelegation("m.server is missing or not a text", temporary=False)
    try:
        return Delegation(ServerName.parse(name))
    except InvalidServerName as error:
        return NoDelegation(f"m.server is not a server name: {error.reason}", temporary=False)
