"""
Who may use the gateway.
"""

from __future__ import annotations

from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent.errors import ConfigurationError
from tests.case import TestCase
from tests.conformance.case import until
from tests.conformance.gateway_case import BEARER, URI, GatewayCase

INVALID = "Invalid Proxy-Authorization header."
WRONG = (
    b"Proxy-Authorization: Bearer wrong",
    b"Proxy-Authorization: Bearer S3CRET",
    b"Proxy-Authorization: Bearer s3cre",
    b"Proxy-Authorization: Bearer s3crett",
    b"Proxy-Authorization: Bearer s3cret s3cret",
    b"Proxy-Authorization: Bearer s3cret,",
    b'Proxy-Authorization: Bearer "s3cret"',
    b"Proxy-Authorization: bearer s3cret",
    b"Proxy-Authorization: BEARER s3cret",
    b"Proxy-Authorization: Basic s3cret",
    b"Proxy-Authorization: s3cret",
    b"Proxy-Authorization: Bearers3cret",
    b"Proxy-Authorization: Bearer  s3cret",
    b"Proxy-Authorization: Bearer\ts3cret",
    b"Proxy-Authorization: Bearer",
    b"Proxy-Authorization: Bearer " + b"a" * 4096,
    b"Proxy-Authorization:",
)


def asking(*lines: bytes, target: bytes = URI, method: bytes = b"GET") -> bytes:
    """
    Write a request with no secret but that in these lines.
    """
    return b"\r\n".join((b"%b %b HTTP/1.1" % (method, target), b"Host: ex.com:80", *lines, b"", b""))


class SecretTests(GatewayCase):
    """
    The secret in C{Proxy-Authorization}.
    """

    def setUp(self) -> None:
        """
        Start a gateway and a server that nobody shall reach.
        """
        super().setUp()
        self.far = self.origin()
        self.gateway()

    async def refused(self, data: bytes) -> tuple[str, str]:
        """
        Send what must be answered with 401, and reach nobody.

        @return: code and text of the error.
        """
        response = await self.reply(data)
        self.assertEqual((response.code, self.federation.dialled, self.dns.queries), (401, [], []))
        self.assertEqual(response.values(b"content-type"), [b"application/json"])
        return response.json["errcode"], response.json["err"]

    async def test_G3_0_the_right_secret(self) -> None:
        """
        The right secret, once, is what lets a request pass.
        """
        self.assertEqual((await self.reply(asking(BEARER))).code, 200)

    async def test_G3_0_the_name_of_the_header_has_no_case(self) -> None:
        """
        As that of any other.
        """
        self.assertEqual((await self.reply(asking(b"PROXY-authorization:Bearer s3cret"))).code, 200)

    async def test_G3_0_it_is_checked_before_the_target_is_used(self) -> None:
        """
        Who does not know the secret learns nothing of what would be wrong with the target, the method or the scheme.
        """
        targets = (
            b"file:///etc/passwd",
            b"http://169.254.169.254/",
            b"https://ex.com/",
            b"matrix-federation://[/",
            b"nothing:",
        )
        for target in targets:
            self.assertEqual((await self.refused(asking(target=target)))[0], "M_MISSING_TOKEN", target)
        self.assertEqual((await self.refused(asking(target=b"ex.com:443", method=b"CONNECT")))[0], "M_MISSING_TOKEN")

    async def test_G3_0_it_does_not_reach_the_remote(self) -> None:
        """
        The remote sees nothing of it.
        """
        await self.reply(asking(BEARER))
        self.assertNotIn(b"s3cret", self.far.connections[0].received)

    async def test_G3_1_missing(self) -> None:
        """
        None.
        """
        self.assertEqual(await self.refused(asking()), ("M_MISSING_TOKEN", "Missing Proxy-Authorization header."))

    async def test_G3_1_authorization_is_none(self) -> None:
        """
        What is in C{Authorization} is for the remote.
        """
        self.assertEqual((await self.refused(asking(b"Authorization: Bearer s3cret")))[0], "M_MISSING_TOKEN")

    async def test_G3_2_wrong(self) -> None:
        """
        A wrong one, the right one in another case or with another scheme, two spaces, or a part of it.
        """
        for line in WRONG:
            self.assertEqual(await self.refused(asking(line)), ("M_UNAUTHORIZED", INVALID), line)

    async def test_G3_3_twice(self) -> None:
        """
        Twice, even if both are right.
        """
        expected = ("M_UNAUTHORIZED", "Too many Proxy-Authorization headers.")
        self.assertEqual(await self.refused(asking(BEARER, BEARER)), expected)
        self.assertEqual(await self.refused(asking(BEARER, b"proxy-authorization: Bearer wrong")), expected)

    async def test_G3_4_not_ascii(self) -> None:
        """
        Bytes that are not ASCII are a wrong secret, and no error of ours.
        """
        for value in (b"\xc3\xa9", b"s3cret\xff", b"\x80"):
            line = b"Proxy-Authorization: Bearer " + value
            self.assertEqual(await self.refused(asking(line)), ("M_UNAUTHORIZED", INVALID), line)

    async def test_G3_6_the_form_of_the_answer(self) -> None:
        """
        No C{Proxy-Authenticate}; the text is in C{err}, as Synapse's proxy has it, and in C{error}, as Matrix has it.
        """
        response = await self.reply(asking())
        self.assertEqual(
            (response.values(b"proxy-authenticate"), set(response.json)), ([], {"errcode", "err", "error"})
        )
        self.assertEqual(response.json["err"], response.json["error"])

    async def test_G3_6_a_body_of_a_stranger(self) -> None:
        """
        The answer to who does not know the secret does not wait for the body.
        """
        data = asking(b"Content-Length: 1000000", method=b"PUT")
        self.assertEqual((await self.refused(data))[0], "M_MISSING_TOKEN")

    async def test_G3_6_a_body_of_a_stranger_is_no_request(self) -> None:
        """
        Nor is that body taken for the next request.
        """
        inner = asking(BEARER)
        client = await self.client(asking(b"Content-Length: %d" % len(inner), method=b"PUT") + inner + inner)
        await until(lambda: len(client.whole) == 2 or client.end != "")
        self.assertLessEqual(len(self.far.requests), 1)
        self.assertEqual(client.whole[0].code, 401)

    async def test_G3_6_no_invitation(self) -> None:
        """
        Who does not know the secret is not invited to send a body.
        """
        client = await self.client(asking(b"Content-Length: 5", b"Expect: 100-continue", method=b"PUT"))
        self.assertEqual([one.code for one in await self.answers(client)], [401])

    async def test_another_secret_from_now_on(self) -> None:
        """
        The secret may be replaced, also for connections that are open.
        """
        client = await self.client(asking(BEARER))
        await self.answers(client)
        self.forwarder.secret = Secret.of(b"other")
        client.send(asking(BEARER) + asking(b"Proxy-Authorization: Bearer other"))
        await self.answers(client, 2)
        self.assertEqual([one.code for one in client.whole][:2], [200, 401])
        self.assertEqual((await self.reply(asking(b"Proxy-Authorization: Bearer other"))).code, 200)


class NoSecretTests(TestCase):
    """
    A gateway without a secret.
    """

    def test_G3_5_no_secret_is_an_error(self) -> None:
        """
        There is none: an empty secret is an error of the configuration, as is one that Synapse could not send.
        """
        for secret in (b"", b"two words", b"line\n", b"\xc3\xa9", b"tab\t", b"a" * 1025):
            self.assertRaises(ConfigurationError, Secret.of, secret)

    def test_G3_5_the_error_does_not_tell_the_secret(self) -> None:
        """
        Such an error is for a log.
        """
        with self.assertRaises(ConfigurationError) as caught:
            Secret.of(b"hush hush")
        self.assertNotIn("hush", str(caught.exception))
