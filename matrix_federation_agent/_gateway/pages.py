"""
The gateway's own pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import attrs

from .._server_name import ServerName
from ..errors import InvalidServerName
from .answers import bad_parameter, no_metrics, no_page, page, text_page, unauthorised, wrong_method

if TYPE_CHECKING:
    from .._agent import MatrixFederationAgent
    from .answers import Answer
    from .exposition import Exposition
    from .forwarder import Forwarder
    from .head import RequestHead
    from .targets import PageTarget

MAXIMUM_KNOWN = 5000
"""
Entries on the page of what is remembered: to write them takes the reactor some
ten milliseconds.
"""

_GET = (b"GET", b"HEAD")
_PARAMETER = "server_name"


@attrs.frozen
class _Page:
    """
    One page.

    @ivar protected: whether it asks for the secret.
    """

    methods: tuple[bytes, ...]
    protected: bool
    answer: Callable[[PageTarget], Answer]


class Pages:
    """
    C{/health} and C{/metrics}, and under the secret C{/known} and
    C{/forget}.
    """

    def __init__(self, agent: MatrixFederationAgent, forwarder: Forwarder) -> None:
        self._agent = agent
        self._forwarder = forwarder
        self._exposition: Exposition | None = None
        self._pages = {
            b"/health": _Page(_GET, protected=False, answer=self._health),
            b"/metrics": _Page(_GET, protected=False, answer=self._metrics),
            b"/known": _Page(_GET, protected=True, answer=self._known),
            b"/forget": _Page((b"POST",), protected=True, answer=self._forget),
        }

    def answer(self, head: RequestHead, target: PageTarget) -> Answer:
        """
        Answer a request for a page.
        """
        asked = self._pages.get(target.path)
        if asked is None:
            return no_page()
        if asked.protected:
            objection = self._forwarder.secret.check(head.fields.get(b"authorization"))
            if objection is not None:
                return unauthorised(objection, "Authorization")
        if head.method not in asked.methods:
            return wrong_method(b", ".join(asked.methods))
        return asked.answer(target)

    def _health(self, _: PageTarget) -> Answer:
        """
        Tell whether requests are forwarded; the status alone says it too.
        """
        under_way = self._forwarder.under_way()
        if self._forwarder.draining:
            return page(503, {"status": "draining", "under_way": under_way})
        return page(200, {"status": "ready", "under_way": under_way})

    def _metrics(self, _: PageTarget) -> Answer:
        try:
            from .exposition import CONTENT_TYPE, Exposition  # noqa: PLC0415 (its library is an extra)
        except ImportError:
            return no_metrics("prometheus_client: install matrix_federation_agent[metrics]")
        if self._exposition is None:
            self._exposition = Exposition(self._agent, self._forwarder)
        return text_page(self._exposition.text(), CONTENT_TYPE)

    def _known(self, target: PageTarget) -> Answer:
        """
        List what the agent remembers.
        """
        try:
            name = _server_name(target.query)
        except ValueError as error:
            return bad_parameter(str(error))
        known = self._agent.known(name)
        document: dict[str, object] = {"known": [attrs.asdict(one) for one in known[:MAXIMUM_KNOWN]]}
        if len(known) > MAXIMUM_KNOWN:
            document["left_out"] = len(known) - MAXIMUM_KNOWN
        return page(200, document)

    def _forget(self, target: PageTarget) -> Answer:
        """
        Have the agent forget about one server, or about all.
        """
        try:
            name = _server_name(target.query)
        except ValueError as error:
            return bad_parameter(str(error))
        self._agent.forget(name)
        return page(200, {"forgotten": "all" if name is None else str(name)})


def _server_name(query: bytes) -> ServerName | None:
    """
    Read the one parameter that there is, or L{None} when it is not given.

    @raise ValueError: when there is anything else, which may be the same
        misspelt: "all" would be a strange way to read it.
    """
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    values = found.pop(_PARAMETER, [])
    if found or len(values) > 1:
        raise ValueError(f"the only parameter is one {_PARAMETER}")
    try:
        return ServerName.parse(values[0]) if values else None
    except InvalidServerName as error:
        raise ValueError(f"{_PARAMETER} is no server name: {error.reason}") from error
