"""
Tests of C{matrix_federation_agent.errors}.
"""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from ipaddress import IPv4Network

import attrs
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.web.error import SchemeNotSupported

from matrix_federation_agent import errors
from matrix_federation_agent.errors import (
    AddressDenied,
    AgentClosed,
    Attempt,
    BodyTooLong,
    CertificateRejected,
    ConfigurationError,
    ConnectionFailed,
    FederationError,
    HandshakeFailed,
    InvalidRequest,
    InvalidServerName,
    InvalidURI,
    Phase,
    ProxyError,
    ResolutionFailed,
    ResponseFailed,
    ServiceUnavailable,
    TimedOut,
    UnsupportedScheme,
    summarised,
)

from .case import TestCase

COMMON = {"server_name", "reason", "phase"}
TEN = IPv4Network("10.0.0.0/8")

# Each class, the classes of others that it also is, and its phase.
LEAVES: list[tuple[type[FederationError], tuple[type[Exception], ...], Phase]] = [
    (FederationError, (), "http"),
    (ConfigurationError, (ValueError,), "configuration"),
    (InvalidServerName, (ValueError,), "uri"),
    (InvalidRequest, (ValueError,), "uri"),
    (InvalidURI, (ValueError, InvalidRequest), "uri"),
    (UnsupportedScheme, (SchemeNotSupported, InvalidURI), "uri"),
    (ResolutionFailed, (DNSLookupError,), "dns"),
    (ServiceUnavailable, (ConnectError,), "dns"),
    (AddressDenied, (ConnectError,), "policy"),
    (ConnectionFailed, (ConnectError,), "tcp"),
    (AgentClosed, (ConnectError, ConnectionFailed), "pool"),
    (ProxyError, (ConnectError, ConnectionFailed), "proxy"),
    (HandshakeFailed, (ConnectError, ConnectionFailed), "tls"),
    (CertificateRejected, (ConnectError, HandshakeFailed), "tls"),
    (TimedOut, (TwistedTimeoutError,), "tcp"),
    (ResponseFailed, (ConnectionLost,), "http"),
    (BodyTooLong, (ResponseFailed, ConnectionLost), "http"),
]

# What is known of an error that is told no more than name and reason.
UNTOLD: list[tuple[type[FederationError], dict[str, object]]] = [
    (ConfigurationError, {"setting": ""}),
    (InvalidServerName, {"position": 0}),
    (InvalidURI, {"uri": ""}),
    (UnsupportedScheme, {"uri": ""}),
    (ResolutionFailed, {"name": "", "temporary": False}),
    (AddressDenied, {"address": "", "network": None}),
    (ProxyError, {"proxy": "", "status": None}),
    (
        CertificateRejected,
        {
            "depth": 0,
            "code": None,
            "names": (),
            "subject": "",
            "issuer": "",
            "not_before": None,
            "not_after": None,
        },
    ),
    (TimedOut, {"seconds": 0.0}),
]

# Those whose text is their own, and not "server name: reason".
OWN_TEXT = (InvalidServerName, InvalidURI, UnsupportedScheme)


def attempt(error: FederationError, target: str = "t.example:8448", address: str | None = "192.0.2.1") -> Attempt:
    """Make an attempt that ended with an error."""
    return Attempt(target, address, error)


REFUSED = attempt(ConnectionFailed("", "refused"))
EXPIRED = attempt(CertificateRejected("", "expired", depth=1, code=10))
DENIED = attempt(AddressDenied.by("", "10.0.0.1", TEN), address="10.0.0.1")


class LeafTests(TestCase):
    """The classes."""

    def test_every_class_is_in_the_table(self) -> None:
        """No error is left out of the tests below."""
        found = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, FederationError)}
        self.assertEqual(found, {leaf for leaf, _, _ in LEAVES})

    def test_leaves_are_what_callers_already_catch(self) -> None:
        """Each leaf is the class of Twisted, or of Python, that means the same."""
        for leaf, others, _ in LEAVES:
            bases: tuple[type[Exception], ...] = (FederationError, *others)
            self.assertEqual([one for one in bases if not issubclass(leaf, one)], [], leaf)

    def test_leaves_have_their_phase(self) -> None:
        """An error that is told nothing else belongs to the phase of its class."""
        for leaf, _, phase in LEAVES:
            self.assertEqual(leaf("ex.example", "a reason").phase, phase, leaf)

    def test_what_is_not_told_is_not_claimed(self) -> None:
        """A leaf that is told nothing else has neutral fields, and no attempts."""
        for leaf, fields in UNTOLD:
            found = attrs.asdict(leaf("ex.example", "a reason"), filter=lambda field, _: field.name not in COMMON)
            self.assertEqual(found, {"attempts": (), **fields}, leaf)

    def test_the_text_is_name_and_reason(self) -> None:
        """C{str} has both, and nothing of what Twisted's classes would say."""
        for leaf, _, _ in LEAVES:
            if leaf not in OWN_TEXT:
                self.assertEqual(str(leaf("ex.example", "a reason")), "ex.example: a reason", leaf)

    def test_the_text_without_a_name_is_the_reason(self) -> None:
        """Where there is no server, there is no colon."""
        for leaf, _, _ in LEAVES:
            if leaf not in OWN_TEXT:
                self.assertEqual(str(leaf("", "a reason")), "a reason", leaf)

    def test_invalid_names_are_quoted(self) -> None:
        """A name that is none may hold anything: its text is escaped."""
        self.assertNotIn("\n", str(InvalidServerName("a\nb", "a reason", position=1)))

    def test_invalid_uris_are_quoted(self) -> None:
        """A URI that is none may hold anything: its text is escaped."""
        self.assertNotIn("\n", str(InvalidURI("", "a reason", uri="a\nb")))

    def test_the_repr_has_every_field(self) -> None:
        """The C{repr} tells what a log needs."""
        error = CertificateRejected("ex.com", "old", depth=1, code=10)
        expected = (
            "CertificateRejected(server_name='ex.com', reason='old', attempts=(), phase='tls', depth=1, code=10, "
            "names=(), subject='', issuer='', not_before=None, not_after=None)"
        )
        self.assertEqual(repr(error), expected)

    def test_errors_are_told_apart(self) -> None:
        """Two errors with the same fields are two errors, and each can be a key."""
        self.assertEqual(len({ConnectionFailed("", "refused"), ConnectionFailed("", "refused")}), 2)


class ConstructorTests(TestCase):
    """Other ways to make an error."""

    def test_a_configuration_error_names_its_setting(self) -> None:
        """The setting is a field, and the text begins with it."""
        error = ConfigurationError.of("ca_files", "empty")
        self.assertEqual((error.setting, str(error)), ("ca_files", "ca_files: empty"))

    def test_a_denied_address_names_the_range(self) -> None:
        """Address and range are fields."""
        error = AddressDenied.by("ex.example", "10.0.0.1", TEN)
        self.assertEqual((error.server_name, error.address, error.network), ("ex.example", "10.0.0.1", TEN))


class ConcerningTests(TestCase):
    """L{FederationError.concerning}."""

    original = CertificateRejected("", "expired", depth=1, code=10)

    def test_the_copy_keeps_class_and_fields(self) -> None:
        """All that is known is known to the copy."""
        copy = self.original.concerning("ex.example")
        found = (type(copy), copy.server_name, copy.reason, copy.phase, copy.depth, copy.code)
        self.assertEqual(found, (CertificateRejected, "ex.example", "expired", "tls", 1, 10))

    def test_the_copy_keeps_what_the_certificate_said(self) -> None:
        """What was read of a certificate is known to the copy."""
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        original = CertificateRejected(
            "", "x", names=("a",), subject="s", issuer="i", not_before=begin, not_after=begin
        )
        copy = original.concerning("ex.example")
        found = (copy.names, copy.subject, copy.issuer, copy.not_before, copy.not_after)
        self.assertEqual(found, (("a",), "s", "i", begin, begin))

    def test_the_original_is_left_alone(self) -> None:
        """An error that is shared does not change under others."""
        self.original.concerning("ex.example", "another reason", (REFUSED,))
        self.assertEqual((self.original.server_name, self.original.reason, self.original.attempts), ("", "expired", ()))

    def test_reason_and_attempts_can_be_given(self) -> None:
        """A reason replaces the reason, and the attempts are attached."""
        copy = self.original.concerning("ex.example", "another reason", (REFUSED,))
        self.assertEqual((copy.reason, copy.attempts), ("another reason", (REFUSED,)))

    def test_the_cause_is_kept(self) -> None:
        """The copy is chained to what the original was chained to."""
        error = ConnectionFailed("", "refused")
        error.__cause__ = cause = ZeroDivisionError()
        self.assertIs(error.concerning("ex.example").__cause__, cause)


class AttemptTests(TestCase):
    """L{Attempt}."""

    def test_the_phase_is_the_error_s(self) -> None:
        """An attempt ended where its error says."""
        self.assertEqual([one.phase for one in (REFUSED, EXPIRED, DENIED)], ["tcp", "tls", "policy"])

    def test_the_address_is_told_where_it_adds_something(self) -> None:
        """A literal target is not followed by itself."""
        error = ConnectionFailed("", "refused")
        cases = [
            (attempt(error), "t.example:8448 (192.0.2.1) [tcp]: refused"),
            (attempt(error, address=None), "t.example:8448 [tcp]: refused"),
            (attempt(error, "192.0.2.1:8448"), "192.0.2.1:8448 [tcp]: refused"),
            (attempt(error, "[2001:db8::1]:8448", "2001:db8::1"), "[2001:db8::1]:8448 [tcp]: refused"),
        ]
        self.assertEqual([str(one) for one, _ in cases], [text for _, text in cases])


class SummarisedTests(TestCase):
    """L{summarised}."""

    def test_a_single_attempt_speaks_for_itself(self) -> None:
        """Class, reason and fields of the only error are the summary's, for the server that was asked for."""
        error = summarised("ex.example", [EXPIRED])
        assert isinstance(error, CertificateRejected)
        found = (type(error), error.server_name, error.reason, error.code, error.attempts)
        self.assertEqual(found, (CertificateRejected, "ex.example", "expired", 10, (EXPIRED,)))

    def test_equal_ends_keep_their_class(self) -> None:
        """Where every address was denied, the whole is "denied"."""
        error = summarised("ex.example", [DENIED, DENIED])
        self.assertEqual((type(error), error.phase, error.attempts), (AddressDenied, "policy", (DENIED, DENIED)))

    def test_different_ends_are_a_failed_connection(self) -> None:
        """Where attempts ended differently, the class is the general one and the phase that of the last."""
        error = summarised("ex.example", [REFUSED, DENIED, EXPIRED])
        expected = (ConnectionFailed, "tls", (REFUSED, DENIED, EXPIRED))
        self.assertEqual((type(error), error.phase, error.attempts), expected)

    def test_a_subclass_is_a_different_end(self) -> None:
        """A refused connection and a rejected certificate are not alike, though one class is the other's base."""
        found = {type(summarised("", attempts)) for attempts in ([REFUSED, EXPIRED], [EXPIRED, REFUSED])}
        self.assertEqual(found, {ConnectionFailed})

    def test_every_attempt_is_told(self) -> None:
        """No reason is lost in the text of the summary."""
        text = str(summarised("ex.example", [REFUSED, DENIED, EXPIRED]))
        self.assertEqual([str(one) in text for one in (REFUSED, DENIED, EXPIRED)], [True] * 3)

    def test_the_errors_of_attempts_stay_as_they_are(self) -> None:
        """The summary is a copy: no error is among its own attempts."""
        error = summarised("ex.example", [EXPIRED])
        self.assertEqual((EXPIRED.error.attempts, EXPIRED.error.server_name, error is EXPIRED.error), ((), "", False))


class PickleTests(TestCase):
    """
    Errors cross process borders.
    """

    def test_an_error_survives_a_pickle(self) -> None:
        """
        Class and fields are the same on the other side.
        """
        times = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
        known = {"names": ("x",), "subject": "CN=s", "issuer": "CN=i", "not_before": times[0], "not_after": times[1]}
        error = CertificateRejected("a.example", "b", depth=1, code=20, **known)  # type: ignore[arg-type]
        copy = pickle.loads(pickle.dumps(error))
        self.assertEqual((CertificateRejected, repr(error)), (type(copy), repr(copy)))

    def test_errors_have_what_callers_of_connect_errors_read(self) -> None:
        """
        C{osError} is an attribute of Twisted's C{ConnectError}.
        """
        self.assertIsNone(TimedOut("a.example", "b").osError)
