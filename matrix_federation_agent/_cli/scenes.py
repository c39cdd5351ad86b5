"""
The servers of the demo, and how reaching each of them must end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..errors import (
    AddressDenied,
    CertificateRejected,
    ConnectionFailed,
    HandshakeFailed,
    ResolutionFailed,
    ResponseFailed,
    ServiceUnavailable,
    TimedOut,
)
from ..testing import STEPS, Fault
from .outcome import Expectation

if TYPE_CHECKING:
    from collections.abc import Mapping

_REJECTED = Expectation(error=CertificateRejected, phase="tls")
_UNRESOLVED = Expectation(error=ResolutionFailed, phase="dns")
_SOUND = Expectation(status=200)

FAULTY: Mapping[Fault, Expectation] = {
    Fault.WRONG_NAME: _REJECTED,
    Fault.EXPIRED: _REJECTED,
    Fault.NOT_YET_VALID: _REJECTED,
    Fault.UNKNOWN_ROOT: _REJECTED,
    Fault.SELF_SIGNED: _REJECTED,
    Fault.NO_SAN: _REJECTED,
    Fault.OLD_TLS: Expectation(error=HandshakeFailed, phase="tls"),
    Fault.REFUSED_PORT: Expectation(error=ConnectionFailed, phase="tcp"),
    Fault.BLACK_HOLE: Expectation(error=TimedOut, phase="tcp"),
    Fault.SILENT_TLS: Expectation(error=TimedOut, phase="tls"),
    Fault.SILENT: Expectation(error=TimedOut, phase="http"),
    Fault.SERVER_ERROR: Expectation(status=500),
    Fault.NOT_HTTP: Expectation(error=ResponseFailed, phase="http"),
    Fault.CUT_OFF: Expectation(error=ResponseFailed, phase="http"),
    Fault.CUT_OFF_HEAD: Expectation(error=ResponseFailed, phase="http"),
    Fault.RESET: Expectation(error=ResponseFailed, phase="http"),
    Fault.STALE: _SOUND,
    Fault.EARLY_ANSWER: _SOUND,
    Fault.ENDLESS_HEAD: Expectation(error=ResponseFailed, phase="http"),
    Fault.ENDLESS_INTERIM: Expectation(error=ResponseFailed, phase="http"),
    Fault.NO_ADDRESS: _UNRESOLVED,
    Fault.DNS_SILENT: _UNRESOLVED,
    Fault.DNS_FAILS: _UNRESOLVED,
    Fault.NO_SERVICE: Expectation(error=ServiceUnavailable, phase="dns"),
    Fault.PRIVATE_ADDRESS: Expectation(error=AddressDenied, phase="policy"),
}
"""
What to expect of a faulty server; where only its C{.well-known} is at fault,
it is reached as if there were none.
"""

_NAMES = {"1": "192.0.2.7", "2": "s2.test:8443"}
_IPV6 = "[2001:db8:1::7]"


@attrs.frozen
class Scene:
    """
    One server.
    """

    server_name: str
    step: str
    expected: Expectation
    fault: Fault | None = None


def scenes() -> list[Scene]:
    """
    List the servers: at first one for each step of the specification, then
    one for each fault.
    """
    sound = [Scene(_NAMES.get(step, f"s{step.replace('.', '-')}.test"), step, _SOUND) for step in STEPS]
    sound.insert(1, Scene(_IPV6, "1", _SOUND))
    return [*sound, *map(_faulty, Fault)]


def _faulty(fault: Fault) -> Scene:
    """
    Choose the name and the step of a server with a fault.
    """
    # Short names keep the table narrow; RFC 6761 reserves .test for them.
    name = fault.name.lower().replace("_", "-").replace("well-known", "wk")
    step = "4" if fault is Fault.NO_SERVICE else "6"
    return Scene(f"{name}.test", step, FAULTY.get(fault, _SOUND), fault)
