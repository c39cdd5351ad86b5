"""
Request URIs: read by one strict door, written by one public function.

The path and the query are what a Matrix signature covers.  They are never
decoded, normalised or joined again: what follows the authority reaches the
server byte for byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urljoin

import attrs
from hyperlink import EncodedURL

from ._server_name import ServerName
from .errors import InvalidURI, UnsupportedScheme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEDERATION_SCHEMES = frozenset({b"matrix-federation", b"matrix"})
"""
The schemes whose authority is a Matrix server name; the second is the older
spelling of the first.
"""

HTTPS = b"https"

# RFC 3986, section 2: a URI is a sequence of visible ASCII characters.
_VISIBLE = re.compile(rb"[\x21-\x7e]+")
# RFC 3986, section 3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(rb"//([^/?#]*)")
_USERINFO = re.compile(r"//[^/?#]*@")
_LOGGED = 200


@attrs.frozen
class RequestURI:
    """
    An absolute URI, taken apart.

    @ivar scheme: in lower case.
    @ivar authority: who is asked: a Matrix server name, or for C{https} the
        host and port, which have the same grammar here.
    @ivar target: the request target in origin form (RFC 9112, section 3.2.1),
        as it was given.
    """

    scheme: bytes
    authority: ServerName
    target: bytes

    def __str__(self) -> str:
        return f"{self.scheme.decode()}://{self.authority}{self.target.decode()}"


def parse_uri(uri: bytes) -> RequestURI:
    """
    Take a request URI apart.

    @raise InvalidURI: when it is empty, relative, carries userinfo, or has
        characters that no URI may have.
    @raise UnsupportedScheme: when its scheme is not one of ours.
    @raise InvalidServerName: when its authority is no server name.
    """
    if not _VISIBLE.fullmatch(uri):
        reason = "it holds a character that must be percent-encoded" if uri else "it is empty"
        raise InvalidURI("", reason, uri=_shown(uri))
    scheme, rest = _split_scheme(uri)
    found = _AUTHORITY.match(rest)
    if found is None or not found[1]:
        raise InvalidURI("", "it names no server", uri=_shown(uri))
    if b"@" in found[1]:
        raise InvalidURI("", "userinfo is not allowed", uri=_shown(uri))
    return RequestURI(scheme, ServerName.parse(found[1]), _origin_form(rest[found.end() :]))


class CheckedURI(bytes):
    """
    A request URI that was taken apart already, and is bytes to everybody
    else: so whoever has to look at one before the agent does costs nothing.

    @ivar parsed: the same, taken apart.
    """

    parsed: RequestURI

    @classmethod
    def check(cls, uri: bytes) -> CheckedURI:
        """
        Take a URI apart.

        @raise FederationError: as L{parse_uri} does.
        """
        checked = cls(uri)
        checked.parsed = parse_uri(uri)
        return checked


def _shown(uri: bytes) -> str:
    """
    Write as much of a URI as an error may repeat: what stands before an "@"
    may be a password.
    """
    return _USERINFO.sub("//...@", uri.decode("latin-1"))[:_LOGGED]


def _split_scheme(uri: bytes) -> tuple[bytes, bytes]:
    """
    Split the scheme off, and refuse those that are not ours.
    """
    found = _SCHEME.match(uri)
    if found is None:
        raise InvalidURI("", "it is relative: a scheme is missing", uri=_shown(uri))
    scheme = found[1].lower()
    if scheme not in FEDERATION_SCHEMES and scheme != HTTPS:
        reason = f"the scheme {scheme[:_LOGGED].decode()!r} is not supported"
        raise UnsupportedScheme("", reason, uri=_shown(uri))
    return scheme, uri[found.end() :]


def _origin_form(rest: bytes) -> bytes:
    """
    Make the request target of what follows the authority: the fragment stays
    at home, and an empty path is C{/} (RFC 9112, section 3.2.1).
    """
    target = rest.partition(b"#")[0]
    return target if target.startswith(b"/") else b"/" + target


def follow_location(base: RequestURI, location: bytes) -> RequestURI:
    """
    Resolve a C{Location} header against the URI that was fetched (RFC 9110,
    section 10.2.2), and accept only C{https}.

    @raise FederationError: when the result is nothing that may be fetched.
    """
    shown = _shown(location)
    if not _VISIBLE.fullmatch(location):
        raise InvalidURI("", "the Location is no URI reference", uri=shown)
    try:
        joined = urljoin(str(base), location.decode("ascii"))
    except ValueError as error:
        raise InvalidURI("", "the Location is no URI reference", uri=shown) from error
    uri = parse_uri(joined.encode("ascii"))
    if uri.scheme != HTTPS:
        raise UnsupportedScheme("", "a redirect may lead to https only", uri=shown)
    return uri


class FederationURL(EncodedURL):
    """
    A C{matrix-federation://} URL that C{treq} sends as it is.

    treq hands every URL through C{to_uri}, where hyperlink encodes the host
    by IDNA: that refuses IPv6 literals and lower-cases names.  A server name
    is ASCII already, and case and port are part of it.
    """

    _authority: str | None = None
    _verbatim: str | None = None

    @classmethod
    def of(cls, name: ServerName, rest: str) -> FederationURL:
        """
        Make the URL of a server and what follows the authority.
        """
        path, mark, query = rest.partition("?")
        pairs = [_pair(text) for text in query.split("&")] if mark else []
        segments = path.split("/")[1:]
        url = cls("matrix-federation", name.host, segments, pairs, port=name.port)
        url._authority = str(name)
        url._verbatim = f"matrix-federation://{name}{rest}"
        return url

    def replace(self, *args: Any, **kwargs: Any) -> FederationURL:
        """
        The spelling of a server name outlives a change of path or query.
        """
        changed = cast("FederationURL", super().replace(*args, **kwargs))
        if (changed.host, changed.port, changed.userinfo) == (self.host, self.port, self.userinfo):
            changed._authority = self._authority  # noqa: SLF001 (it is one of us)
        return changed

    def authority(self, with_password: bool = False, **kw: Any) -> str:  # noqa: FBT001, FBT002 (hyperlink's signature)
        """
        The server name as it was given, leading zeros of the port included.
        """
        return super().authority(with_password, **kw) if self._authority is None else self._authority

    def to_uri(self) -> FederationURL:
        """
        There is nothing left to encode.
        """
        return self

    def to_text(self, with_password: bool = False) -> str:  # noqa: FBT001, FBT002 (hyperlink's signature)
        """
        The URL as it was made, or as hyperlink writes it where treq added
        C{params} to it.
        """
        return super().to_text(with_password) if self._verbatim is None else self._verbatim

    # hyperlink's own C{__str__} is its own C{to_text}.
    __str__ = to_text

    def __bytes__(self) -> bytes:
        return self.to_text().encode("ascii")


def _pair(text: str) -> tuple[str, str | None]:
    """
    Split one parameter of a query as hyperlink does: L{None} where there is
    no equals sign.
    """
    key, equals, value = text.partition("=")
    return (key, value if equals else None)


def federation_url(
    server_name: ServerName | bytes | str,
    path: str,
    query: Mapping[str, str] | Sequence[tuple[str, str]] | str = "",
) -> FederationURL:
    """
    Write the URL of a resource on a Matrix server; both C{treq} and
    L{MatrixFederationAgent.request} take the result verbatim, ports, case and
    IPv6 literals included.

    >>> federation_url("[2001:db8::1]:8448", "/_matrix/federation/v1/version").to_text()
    'matrix-federation://[2001:db8::1]:8448/_matrix/federation/v1/version'

    @param server_name: whom to ask.
    @param path: the path, percent-encoded by the caller (a user id, for
        instance, by C{urllib.parse.quote(user_id, safe="")}).
    @param query: pairs to be percent-encoded here, or a text that is taken as
        it is.
    @raise InvalidServerName: when the name is none.
    @raise InvalidURI: when path or query hold a character that must be
        percent-encoded.
    """
    name = server_name if isinstance(server_name, ServerName) else ServerName.parse(server_name)
    try:
        text = query if isinstance(query, str) else urlencode(query, quote_via=quote, safe="")
        rest = f"{path}?{text}" if text else path
        encoded = rest.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidURI(str(name), "a lone surrogate cannot be encoded", uri=path[:_LOGGED]) from error
    if not path.startswith("/") or "?" in path or "#" in rest or not _VISIBLE.fullmatch(encoded):
        raise InvalidURI(str(name), "a path begins with a slash and is percent-encoded", uri=rest[:_LOGGED])
    return FederationURL.of(name, rest)
