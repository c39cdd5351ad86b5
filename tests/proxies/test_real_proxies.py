"""
The agent with real proxies.
"""

from __future__ import annotations

from matrix_federation_agent.errors import CertificateRejected, ProxyError
from tests.proxies.servers import LOOPBACK, PASSWORD, USER, RealProxyCase, free_port

TRUSTED = f"{USER}:{PASSWORD}@"


class TinyproxyTests(RealProxyCase):
    """
    CONNECT with Basic credentials, by tinyproxy.
    """

    async def test_P1_names_and_addresses(self) -> None:
        """
        Both are reached, with the right credentials.
        """
        await self.tinyproxy()
        found = [await self.status(f"http://{TRUSTED}HOST", host) for host in ("localhost", LOOPBACK)]
        self.assertEqual((found, self.dns.queries), ([200, 200], []))

    async def test_P1_credentials(self) -> None:
        """
        Without the right ones it refuses, and nothing reaches the server.
        """
        await self.tinyproxy()
        for user in ("", f"{USER}:wrong@"):
            error = await self.fails(self.status(f"http://{user}HOST"), ProxyError)
            self.assertIn(error.status, (401, 407))
        self.assertEqual(self.server.accepted, 0)

    async def test_P1_a_server_that_is_not_there(self) -> None:
        """
        The proxy answers with an error of its own.
        """
        await self.tinyproxy()
        error = await self.fails(self.status(f"http://{TRUSTED}HOST", port=free_port()), ProxyError)
        self.assertIn(error.status, range(500, 600))


class MicrosocksTests(RealProxyCase):
    """
    SOCKS5 with user and password, by microsocks.
    """

    async def test_P2_names_and_addresses(self) -> None:
        """
        Both are reached, the name resolved by the proxy.
        """
        await self.microsocks()
        found = [await self.status(f"socks5h://{TRUSTED}HOST", host) for host in ("localhost", LOOPBACK)]
        self.assertEqual((found, self.dns.queries), ([200, 200], []))

    async def test_P2_credentials(self) -> None:
        """
        Without the right ones it refuses, and nothing reaches the server.
        """
        await self.microsocks()
        for user in ("", f"{USER}:wrong@"):
            error = await self.fails(self.status(f"socks5h://{user}HOST"), ProxyError)
            self.assertIn("credentials", error.reason)
        self.assertEqual(self.server.accepted, 0)

    async def test_P2_a_server_that_is_not_there(self) -> None:
        """
        The reply says that the connection was refused.
        """
        await self.microsocks()
        error = await self.fails(self.status(f"socks5h://{TRUSTED}HOST", port=free_port()), ProxyError)
        self.assertEqual(error.status, 5)

    async def test_the_certificate_counts(self) -> None:
        """
        A server that proves another name is refused behind a proxy as well.
        """
        await self.microsocks()
        port = self.listen(self.certificates.issue("ex.com"))
        await self.fails(self.status(f"socks5h://{TRUSTED}HOST", port=port), CertificateRejected)


class DanteTests(RealProxyCase):
    """
    SOCKS5 without authentication, by Dante.
    """

    async def test_P2_names_and_addresses(self) -> None:
        """
        Both are reached, the name resolved by the proxy, whether or not there would be credentials.
        """
        await self.dante()
        found = [
            await self.status(url, host)
            for url, host in (
                ("socks5h://HOST", "localhost"),
                ("socks5h://HOST", LOOPBACK),
                (f"socks5h://{TRUSTED}HOST", "localhost"),
            )
        ]
        self.assertEqual((found, self.dns.queries), ([200, 200, 200], []))

    async def test_P2_a_server_that_is_not_there(self) -> None:
        """
        The reply says that the connection was refused.
        """
        await self.dante()
        error = await self.fails(self.status("socks5h://HOST", port=free_port()), ProxyError)
        self.assertEqual(error.status, 5)


class SquidTests(RealProxyCase):
    """
    CONNECT in the clear and in TLS, by Squid.
    """

    async def test_P1_names_and_addresses(self) -> None:
        """
        Both are reached, and a server that is not there is an error of the proxy's.
        """
        await self.squid()
        found = [await self.status("http://HOST", host) for host in ("localhost", LOOPBACK)]
        error = await self.fails(self.status("http://HOST", port=free_port()), ProxyError)
        self.assertEqual((found, error.status), ([200, 200], 503))

    async def test_P1_tls_in_tls(self) -> None:
        """
        The proxy proves its name first.
        """
        certificate = self.certificates.issue("proxy.example")
        pem = self.directory / "proxy.pem"
        pem.write_bytes(certificate.certificate_pem + certificate.private_key_pem)
        self.dns.add_address("proxy.example", "192.0.2.50")
        await self.squid(f"https_port {{address}}:{{port}} tls-cert={pem}")
        self.assertEqual(await self.status("https://proxy.example:3128"), 200)
        await self.fails(self.status("https://HOST"), ProxyError)
