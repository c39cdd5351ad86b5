"""
C{matrix-federation request}.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import attrs
from twisted.internet.task import Cooperator
from twisted.web.client import FileBodyProducer
from twisted.web.http_headers import Headers

from .._failures import to_json
from .._reading import pass_on
from .._text import escaped
from .._uri import parse_uri
from ..errors import FederationError, InvalidRequest, InvalidURI
from .console import BodyText
from .report import failure_json, failure_lines
from .settings import Settings, in_time

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from twisted.web.iweb import IResponse

    from .._agent import MatrixFederationAgent
    from .._reactor import IReactor
    from .._server_name import ServerName
    from .console import Console


@attrs.frozen
class Request:
    """
    Sends a request and passes on what is answered.

    The head of the response goes to standard error, the body to standard
    output as it arrives and byte for byte; only on a terminal, control
    characters in it are escaped.  As with C{curl}, the exit status is 0
    whenever a server has answered completely, also with a status of 400 or
    more.

    With C{--json} standard error has one object a line: at first the head,
    with C{server_name}, C{version}, C{status}, C{phrase} and C{headers} (a
    list of pairs); and where it fails, with the head or after it, an object
    with C{server_name} and C{failure}, as L{Resolve
    <matrix_federation_agent._cli.resolve.Resolve>} describes it.

    @ivar url: with the path and the query byte for byte.
    @ivar body: what is sent, or L{None} for no body at all.
    """

    name: ServerName
    url: bytes
    settings: Settings
    method: bytes = b"GET"
    headers: Headers = attrs.field(factory=Headers)
    body: bytes | None = None
    json: bool = False

    @classmethod
    def of(cls, options: Namespace) -> Request:
        """
        Read the options.

        @raise ConfigurationError: when one is not usable.
        @raise InvalidURI: when the path cannot be sent as it is.
        """
        headers = Headers()
        for name, value in options.header:
            headers.addRawHeader(name, value)
        method = options.request or (b"GET" if options.data is None else b"POST")
        if options.data is not None and not headers.hasHeader(b"Content-Type"):
            # Specification, "API standards": all bodies are JSON.
            headers.setRawHeaders(b"Content-Type", [b"application/json"])
        url = _url(options.name, options.path)
        return cls(options.name, url, Settings.of(options), method, headers, options.data, options.json)

    async def run(self, reactor: IReactor, console: Console) -> int:
        """
        Send the request and pass on the response.

        @return: the exit status.
        @raise ConfigurationError: when a file of roots cannot be used.
        @raise InvalidRequest: when the request cannot be sent as it is.
        @raise OutputLost: when the body cannot be written.
        """
        agent = self.settings.agent(reactor)
        exchange = self._exchange(reactor, agent, console)
        try:
            await in_time(reactor, self.settings.timeout, str(self.name), exchange)
        except InvalidRequest:
            raise
        except FederationError as error:
            self._tell_failure(error, console)
            return 1
        finally:
            await agent.close()
        return 0

    async def _exchange(self, reactor: IReactor, agent: MatrixFederationAgent, console: Console) -> None:
        response = await agent.request(self.method, self.url, self.headers, self._producer(reactor))
        for line in self._head(response):
            console.note(line)
        if not console.terminal:
            await pass_on(response, str(self.name), console.write)
            return
        text = BodyText()
        await pass_on(response, str(self.name), lambda data: console.write(text(data)))
        console.write(text(b"", final=True))

    def _producer(self, reactor: IReactor) -> FileBodyProducer | None:
        if self.body is None:
            return None
        # Twisted's default one would work on the global reactor.
        cooperator = Cooperator(scheduler=lambda call: reactor.callLater(0, call))
        return FileBodyProducer(BytesIO(self.body), cooperator)

    def _head(self, response: IResponse) -> Iterator[str]:
        """
        Write the status line and the headers.
        """
        protocol, major, minor = response.version
        version = f"{protocol.decode('latin-1')}/{major}.{minor}"
        phrase = response.phrase.decode("latin-1")
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        ]
        if self.json:
            head = {"version": version, "status": response.code, "phrase": phrase, "headers": headers}
            yield to_json({"server_name": str(self.name), **head}, indent=None)
            return
        yield escaped(f"{version} {response.code} {phrase}")
        yield from (escaped(f"{name}: {value}") for name, value in headers)

    def _tell_failure(self, error: FederationError, console: Console) -> None:
        if self.json:
            console.note(to_json({"server_name": str(self.name), "failure": failure_json(error)}, indent=None))
        else:
            console.complain("\n".join(failure_lines(error)))


def _url(name: ServerName, path: str) -> bytes:
    """
    Write the URL of a path and its query, an empty one included.

    @raise InvalidURI: when it cannot be sent as it is.
    """
    if not path.startswith("/") or "#" in path or not path.isascii():
        raise InvalidURI("", "a path begins with a slash and is percent-encoded", uri=path)
    url = f"matrix-federation://{name}{path}".encode("ascii")
    parse_uri(url)
    return url
