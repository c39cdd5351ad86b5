"""
Tests of C{matrix_federation_agent._tls.objections}, and of the words that it is made of: C{contents}, C{reasons} and
C{remedies}.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

import attrs
from cryptography import x509
from OpenSSL import crypto

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import DelegationEntry
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._tls.contents import LONGEST_TEXT, Contents, contents_of, printable
from matrix_federation_agent._tls.objections import (
    LISTED_NAMES,
    NO_ROOTS,
    chain_objection,
    failed_check,
    identity_objection,
)
from matrix_federation_agent._tls.reasons import REASONS, ChainFault
from matrix_federation_agent._tls.remedies import Mismatch
from tests.case import TestCase
from tests.conformance.bad_certificates import Extension, Issued, Recipe, ca, common_name, dns, ip, leaf, tlv, utc_time

NOW = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
EARLIER = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LATER = datetime(2027, 1, 2, 3, 4, tzinfo=UTC)

EX = ServerName("ex.com")
ASKED = DelegationEntry(None, "there is none", 0.0, 0.0, 0.0)
PLAIN = Identity(EX, EX, learned=ASKED)
DELEGATED = Identity(EX, ServerName("m.ex.com"), delegated=True, learned=ASKED)

SERVER = Contents(("ex.com",), subject="CN=ex.com", issuer="CN=middle", readable=True)
MIDDLE = Contents((), subject="CN=middle", issuer="CN=root", readable=True)
ROOT = Contents((), subject="CN=root", issuer="CN=root", readable=True)


def read(issued: Issued) -> Contents:
    """
    Read what was written.
    """
    return contents_of(crypto.load_certificate(crypto.FILETYPE_ASN1, issued.der))


def named(*names: str) -> Contents:
    """
    Make the contents of a certificate with DNS names.
    """
    return Contents(names, readable=True)


class ContentsTests(TestCase):
    """
    L{contents_of} and L{Contents}.
    """

    def test_names(self) -> None:
        """
        DNS names are in lower case, addresses as they are written.
        """
        root = ca("root")
        both = Extension("2.5.29.17", tlv(0x30, tlv(0x82, b"EX.com"), tlv(0x87, b"\xc0\x00\x02\x01")))
        found = read(leaf(root, both))
        self.assertEqual((found.dns_names, found.addresses, found.readable), (("ex.com",), ("192.0.2.1",), True))

    def test_subject_issuer_and_dates(self) -> None:
        """
        All are read.
        """
        times = {"begin": tlv(0x17, b"260102030400Z"), "end": tlv(0x17, b"270102030400Z")}
        found = read(leaf(ca("root"), None, **times))
        expected = ("CN=a server", "CN=root", EARLIER, LATER, ("a server",))
        self.assertEqual((found.subject, found.issuer, found.not_before, found.not_after, found.common_names), expected)

    def test_one_unreadable_part_leaves_the_others(self) -> None:
        """
        The names are malformed, the rest is not.
        """
        found = read(leaf(ca("root"), ip(b"\x01\x02\x03")))
        self.assertEqual((found.names, found.readable, found.issuer), ((), False, "CN=root"))

    def test_an_unreadable_subject(self) -> None:
        """
        The subject is malformed: newer versions of cryptography then read nothing at all.
        """
        subject = common_name("x").replace(tlv(0x0C, b"x"), tlv(0x13, b"\xff"))
        found = read(leaf(ca("root"), subject=subject))
        self.assertEqual((found.subject, found.common_names), ("", ()))

    def test_what_cannot_be_read_at_all(self) -> None:
        """
        Then nothing is known.
        """
        self.assertEqual(read(leaf(ca("root"), begin=tlv(0x17, b"991399999999Z"))), Contents())

    def test_nobody_is_warned(self) -> None:
        """
        What cryptography warns of in a remote's certificate goes nowhere.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = read(leaf(ca("root"), subject=common_name("x" * 100), serial=b"\xff"))
        self.assertEqual((caught, found.subject), ([], "CN=" + "x" * 100))

    def test_where_the_issuer_can_be_had(self) -> None:
        """
        The first web address counts, and no other.
        """
        method = x509.oid.AuthorityInformationAccessOID
        places = [
            x509.AccessDescription(method.OCSP, x509.UniformResourceIdentifier("http://ocsp.example")),
            x509.AccessDescription(method.CA_ISSUERS, x509.UniformResourceIdentifier("ldap://ca.example")),
            x509.AccessDescription(method.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example")),
        ]
        found = read(leaf(ca("root"), None, Extension.of(x509.AuthorityInformationAccess(places))))
        self.assertEqual(found.issuer_url, "http://ca.example")

    def test_long_texts(self) -> None:
        """
        Each text is cut.
        """
        long = common_name("y" * 9000)
        found = read(Recipe(long, (dns("x" * 9000),)).signed())
        texts = (*found.names, *found.common_names, found.subject, found.issuer)
        self.assertEqual({len(text) for text in texts}, {LONGEST_TEXT})

    def test_printable(self) -> None:
        """
        Control characters and other scripts are escaped before the text is cut.
        """
        self.assertEqual(printable("a\x1b\r\n\x7fü\0\\"), r"a\x1b\r\n\x7f\xfc\x00\\")
        self.assertEqual(len(printable("\0" * 1000)), LONGEST_TEXT)

    def test_covers(self) -> None:
        """
        A name, a wildcard of its parent, or an address.
        """
        contents = Contents(("*.ex.com", "a.org", "192.0.2.9"), ("192.0.2.1", "2001:db8::1"), readable=True)
        names = ("a.ex.com", "A.org", "192.0.2.1:1", "[2001:DB8:0::1]", "ex.com", "a.b.ex.com", "b.a.org", "192.0.2.9")
        covered = [name for name in (*names, "xn--a.ex.com") if contents.covers(ServerName(name))]
        self.assertEqual(covered, ["a.ex.com", "A.org", "192.0.2.1:1", "[2001:DB8:0::1]"])


class ReasonTests(TestCase):
    """
    L{ChainFault.words}.
    """

    def words(self, code: int, contents: Contents, *sent: Contents, depth: int = 0) -> str:
        """
        Word a fault.
        """
        return ChainFault(code, depth, contents, sent, NOW).words

    def test_known_codes(self) -> None:
        """
        Each has its own words.
        """
        codes = [*REASONS, 2, 9, 10, 18, 19, 20]
        found = {self.words(code, SERVER) for code in codes}
        self.assertEqual((len(found), [words for words in found if "OpenSSL verification" in words]), (len(codes), []))

    def test_unknown_codes(self) -> None:
        """
        OpenSSL's number stands for the words that we do not have.
        """
        self.assertEqual(self.words(4711, SERVER), "OpenSSL verification error 4711")

    def test_dates(self) -> None:
        """
        The date and the time here are told; above the server's certificate our own clock is suspected.
        """
        dated = attrs.evolve(SERVER, not_before=LATER, not_after=EARLIER)
        here = "and here it is 2026-05-06 07:08 UTC"
        early = f"it is not valid before 2027-01-02 03:04 UTC, {here}"
        cases = [
            (self.words(10, dated), f"it expired on 2026-01-02 03:04 UTC, {here}"),
            (self.words(10, SERVER), f"it has expired, {here}"),
            (self.words(9, dated), early),
            (self.words(9, dated, depth=1), f"{early}: is the clock here right?"),
            (self.words(9, SERVER), f"it is not yet valid, {here}"),
        ]
        for found, expected in cases:
            self.assertEqual(found, expected)

    def test_incomplete_chains(self) -> None:
        """
        What is told depends on what was sent.
        """
        published = attrs.evolve(SERVER, issuer_url="http://ca.example")
        cases = [
            (self.words(20, SERVER, SERVER), "that the server must send, or a private root"),
            (self.words(20, SERVER, SERVER, ROOT), "that the server must send, or a private root"),
            (self.words(20, published, published), "published at http://ca.example"),
            (self.words(20, MIDDLE, SERVER, MIDDLE, depth=1), "probably a root that is not trusted here"),
            (self.words(20, SERVER, SERVER, MIDDLE), "malformed one or that of another key"),
            (self.words(20, ROOT, ROOT), "that the server must send, or a private root"),
            (self.words(21, SERVER), "that the server must send, or a private root"),
            (self.words(20, Contents()), "its extensions are malformed, or its chain is incomplete"),
            (self.words(19, ROOT, SERVER, ROOT, depth=1), "not trusted: CN=root"),
            (self.words(2, MIDDLE, SERVER, depth=1), "its issuer, CN=root, is not among them"),
        ]
        for found, expected in cases:
            self.assertTrue(found.endswith(expected) or expected in found, found)


class RemedyTests(TestCase):
    """
    L{Mismatch.remedy}.
    """

    def remedy(self, identity: Identity, contents: Contents, host: str = "ex.com", port: int = 8448) -> str:
        """
        Find a remedy.
        """
        return Mismatch(identity, Target(ServerName(host), port), contents).remedy

    def assert_told(self, remedy: str, *expected: str) -> None:
        """
        Assert that the words contain what matters.
        """
        self.assertEqual([one for one in expected if one not in remedy], [], remedy)

    def test_the_srv_target(self) -> None:
        """
        SRV changes nothing, a delegation would.
        """
        found = self.remedy(PLAIN, named("t.net"), "t.net", 8443)
        document = 'https://ex.com/.well-known/matrix/server with {"m.server": "t.net:8443"} would let t.net serve'
        self.assert_told(found, "SRV records do not change", "t.net is only their target", document)

    def test_the_original_name_after_a_delegation(self) -> None:
        """
        The delegated name must stand there, also where the target's name does.
        """
        for names in (("ex.com",), ("t.net", "ex.com"), ("*.com",)):
            found = self.remedy(DELEGATED, named(*names), "t.net", 8443)
            self.assert_told(found, "ex.com delegates to m.ex.com", ".well-known", "must name m.ex.com")

    def test_the_srv_target_of_a_delegated_name(self) -> None:
        """
        The delegation can name the target.
        """
        found = self.remedy(DELEGATED, named("t.net"), "t.net", 8443)
        self.assert_told(
            found, "SRV records", 'https://ex.com/.well-known/matrix/server with {"m.server": "t.net:8443"}'
        )

    def test_another_name(self) -> None:
        """
        One below the domain is proposed rather than another, and what is no host name never is.
        """
        cases = [
            (("b.org", "matrix.ex.com"), "matrix.ex.com"),
            (("*.org", "a b", "192.0.2.1", "a.org:1", "b.org", "c.org"), "b.org"),
            (("notex.com", "a.ex.com"), "a.ex.com"),
        ]
        for names, expected in cases:
            self.assert_told(self.remedy(PLAIN, named(*names)), f'{{"m.server": "{expected}:8448"}}')

    def test_no_delegation_where_none_is_asked_for(self) -> None:
        """
        Names with a port and https URIs are not delegated.
        """
        name = ServerName("ex.com:8443")
        for identity in (Identity(name, name), Identity(EX, EX)):
            self.assertEqual(self.remedy(identity, named("matrix.ex.com")), "")

    def test_addresses_in_dns_names(self) -> None:
        """
        An address needs an entry of its own kind, however it is written.
        """
        cases = [("192.0.2.1", "192.0.2.1"), ("[2001:db8:0::1]", "2001:db8::1"), ("[2001:db8:0::1]", "2001:db8:0::1")]
        for name, entry in cases:
            literal = ServerName(name)
            self.assert_told(self.remedy(Identity(literal, literal), named(entry)), "iPAddress")

    def test_wildcards(self) -> None:
        """
        What a star does not reach.
        """
        for asked, pattern in (("a.b.ex.com", "*.ex.com"), ("ex.com", "*.ex.com"), ("ab.ex.com", "a*.ex.com")):
            name = ServerName(asked)
            found = self.remedy(Identity(name, name, learned=ASKED), named("b.org", pattern))
            self.assert_told(found, f"the star in {pattern}", "one label")

    def test_wildcards_of_others(self) -> None:
        """
        A star elsewhere is no mistake of that kind, and none for an address.
        """
        literal = ServerName("192.0.2.1")
        found = [self.remedy(PLAIN, named(name)) for name in ("*.org", "*", "*.notex.com")]
        self.assertEqual([*found, self.remedy(Identity(literal, literal), named("*.0.2.1"))], ["", "", "", ""])

    def test_no_star_and_no_delegation(self) -> None:
        """
        The parent's name has no star, and who does not delegate is not said to.
        """
        below = ServerName("a.ex.com")
        self.assertEqual(self.remedy(Identity(below, below), named("ex.com"), "a.ex.com"), "")
        self.assertNotIn("delegates to", self.remedy(PLAIN, named("ex.com")))

    def test_common_names(self) -> None:
        """
        A commonName is told of where it is the right one, and alone.
        """
        only = Contents(common_names=("ex.com",), readable=True)
        self.assert_told(self.remedy(PLAIN, only), "commonName", "subjectAltName")
        cases = (attrs.evolve(only, common_names=("b.org",)), attrs.evolve(only, dns_names=("*.org",)))
        self.assertEqual([self.remedy(PLAIN, one) for one in cases], ["", ""])


class ObjectionTests(TestCase):
    """
    The errors.
    """

    def test_fields_of_a_chain_objection(self) -> None:
        """
        All that was read is in the error.
        """
        contents = attrs.evolve(SERVER, addresses=("192.0.2.1",), not_before=EARLIER, not_after=LATER)
        error = chain_objection(PLAIN, ChainFault(7, 0, contents, (), NOW), has_roots=True)
        found = (error.code, error.names, error.subject, error.issuer, error.not_before, error.not_after)
        self.assertEqual(found, (7, ("ex.com", "192.0.2.1"), "CN=ex.com", "CN=middle", EARLIER, LATER))

    def test_the_place_in_the_chain(self) -> None:
        """
        The server's own certificate is told by its names, another by its subject and place.
        """
        ends = []
        for depth, contents in enumerate((SERVER, MIDDLE, Contents())):
            reason = chain_objection(PLAIN, ChainFault(66, depth, contents, (), NOW), has_roots=True).reason
            ends.append(reason.removeprefix(f"certificate rejected: {REASONS[66]} "))
        expected = ["(names ex.com; issued by CN=middle)", "(CN=middle, certificate 1 of the chain; issued by CN=root)"]
        self.assertEqual(ends[:2], expected)
        self.assertIn("its issuer cannot be read", ends[2])

    def test_a_certificate_that_cannot_be_read(self) -> None:
        """
        It is not said to have no names.
        """
        reason = chain_objection(PLAIN, ChainFault(66, 0, Contents(), (), NOW), has_roots=True).reason
        self.assertTrue(reason.endswith("(names nobody who can be read; its issuer cannot be read)"), reason)

    def test_without_roots(self) -> None:
        """
        That no root is known explains more than the certificate does.
        """
        fault = ChainFault(20, 0, SERVER, (), NOW)
        found = [NO_ROOTS in chain_objection(PLAIN, fault, has_roots=known).reason for known in (False, True)]
        self.assertEqual(found, [True, False])

    def test_names_are_bounded(self) -> None:
        """
        Some are listed, the others counted.
        """
        mismatch = Mismatch(PLAIN, Target(EX, 8448), named(*(f"n{number}.org" for number in range(LISTED_NAMES + 7))))
        error = identity_objection(mismatch, ValueError())
        self.assertEqual((len(error.names), "n9.org, and 7 more" in error.reason), (LISTED_NAMES, True))

    def test_who_is_meant_and_who_is_named(self) -> None:
        """
        Both are told, with the issuer and the cause.
        """
        cause = ValueError()
        error = identity_objection(
            Mismatch(Identity(EX, EX), Target(EX, 8448), attrs.evolve(SERVER, dns_names=())), cause
        )
        expected = "certificate rejected: it must name ex.com, but names nobody: it has no usable subjectAltName"
        self.assertEqual((error.reason, error.__cause__), (f"{expected} (issued by CN=middle)", cause))

    def test_names_that_cannot_be_used(self) -> None:
        """
        Where the right name stands beside a bad one the error does not ask for it, but quotes the cause in bounds.
        """
        for contents in (SERVER, Contents()):
            error = identity_objection(Mismatch(PLAIN, Target(EX, 8448), contents), ValueError("\n" * 9999))
            self.assertIn("its names cannot be used: ValueError: \\n\\n", error.reason)
            self.assertLess(len(error.reason), 2 * LONGEST_TEXT)
            self.assertNotIn("well-known", error.reason)

    def test_a_failed_check(self) -> None:
        """
        Nothing is known but the exception.
        """
        cause = KeyError("x")
        error = failed_check(PLAIN, cause, 3)
        expected = ("certificate rejected: the check failed with KeyError", 3, cause)
        self.assertEqual((error.reason, error.depth, error.__cause__), expected)

    def test_errors_of_a_certificate_that_expired(self) -> None:
        """
        From its bytes to the words.
        """
        contents = read(leaf(ca("root"), begin=utc_time(-9), end=tlv(0x17, b"260102030400Z")))
        error = chain_objection(PLAIN, ChainFault(10, 0, contents, (), NOW), has_roots=True)
        expected = "it expired on 2026-01-02 03:04 UTC, and here it is 2026-05-06 07:08 UTC"
        self.assertEqual(error.reason, f"certificate rejected: {expected} (names ex.com; issued by CN=root)")
