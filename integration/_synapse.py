"""
One Synapse, as it comes from PyPI: its settings, its process, and what it logged.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import treq
from twisted.internet.error import ConnectError
from twisted.web.client import ResponseNeverReceived

from matrix_federation_agent.testing import Certificate

from ._program import Program

_START = 90.0
"""
Seconds, on a machine that is busy.
"""
_ACCESS = re.compile(r' synapse\.access\.https\.\S+ .*"([A-Z]+) ([^ ?]+)\S* HTTP/1\.1" "')

Requests = Counter[tuple[str, str]]
"""
How often each method and path was asked for.
"""


@attrs.frozen
class Synapse:
    """
    A homeserver.

    @ivar name: its Matrix name.
    @ivar directory: everything that it writes is in here.
    @ivar client_port: where its users' clients connect, without TLS.
    @ivar federation_port: where other servers connect, with TLS.
    @ivar registration_secret: lets whoever knows it make users.
    """

    name: str
    directory: Path
    client_port: int
    federation_port: int
    registration_secret: str = attrs.field(factory=secrets.token_hex)

    @property
    def client_url(self) -> str:
        """
        Where clients connect.
        """
        return f"http://127.0.0.1:{self.client_port}"

    def configure(self, certificate: Certificate, root: Path, settings: Mapping[str, Any]) -> None:
        """
        Write everything that it reads.

        @param certificate: what it shows to other servers.
        @param root: the file of the authority that it trusts for federation.
        @param settings: what else is in its configuration.
        """
        self.directory.mkdir()
        key = b64encode(secrets.token_bytes(32)).decode("ascii").rstrip("=")
        self._path("signing.key").write_text(f"ed25519 a_1 {key}\n", "ascii")
        self._path("tls.pem").write_bytes(certificate.certificate_pem)
        self._path("tls.key").write_bytes(certificate.private_key_pem)
        self._path("log.yaml").write_text(json.dumps(self._logging()), "ascii")
        # JSON is YAML.
        written = {**self._settings(), "federation_custom_ca_list": [str(root)], **settings}
        self._path("homeserver.yaml").write_text(json.dumps(written, indent=2), "ascii")

    def start(self, reactor: Any, python: str, environment: Mapping[str, str]) -> Program:
        """
        Start it.

        @param python: the interpreter of an environment that has Synapse.
        @param environment: further variables of the process.
        """
        command = [python, "-m", "synapse.app.homeserver", "--config-path", str(self._path("homeserver.yaml"))]
        return Program.start(reactor, self.name, command, self._path("output.txt"), environment)

    async def ready(self, program: Program) -> None:
        """
        Wait until it serves.

        @raise NotReady: when it does not.
        """
        await program.ready(self._is_healthy, _START)

    async def _is_healthy(self) -> bool:
        try:
            response = await treq.get(f"{self.client_url}/health", persistent=False)
            await treq.content(response)
        except (ConnectError, ResponseNeverReceived):
            return False
        return bool(response.code == 200)

    def arrived(self) -> Requests:
        """
        Count the requests that other servers have sent, by its own log.
        """
        text = self._path("homeserver.log").read_text("utf-8", "replace")
        return Counter((method, path) for method, path in _ACCESS.findall(text))

    def _path(self, name: str) -> Path:
        return self.directory / name

    def _settings(self) -> dict[str, Any]:
        tls = {"port": self.federation_port, "type": "http", "tls": True, "bind_addresses": ["127.0.0.1"]}
        plain = {"port": self.client_port, "type": "http", "bind_addresses": ["127.0.0.1"]}
        return {
            "server_name": self.name,
            "report_stats": False,
            "listeners": [
                {**plain, "resources": [{"names": ["client"]}]},
                {**tls, "resources": [{"names": ["federation", "media", "keys"]}]},
            ],
            "tls_certificate_path": str(self._path("tls.pem")),
            "tls_private_key_path": str(self._path("tls.key")),
            "signing_key_path": str(self._path("signing.key")),
            "log_config": str(self._path("log.yaml")),
            "media_store_path": str(self._path("media")),
            "database": {"name": "sqlite3", "args": {"database": str(self._path("homeserver.db"))}},
            "registration_shared_secret": self.registration_secret,
            "macaroon_secret_key": secrets.token_hex(),
            "form_secret": secrets.token_hex(),
            "trusted_key_servers": [],
            "ip_range_blacklist": [],
            "allow_public_rooms_over_federation": True,
            "room_list_publication_rules": [{"action": "allow"}],
            "presence": {"enabled": False},
        }

    def _logging(self) -> dict[str, Any]:
        path = str(self._path("homeserver.log"))
        file = {"class": "logging.FileHandler", "formatter": "precise", "filename": path, "encoding": "utf-8"}
        return {
            "version": 1,
            "formatters": {"precise": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"file": file},
            "root": {"level": "INFO", "handlers": ["file"]},
            "disable_existing_loggers": False,
        }
