"""
The agent inside each homeserver, by C{examples/synapse_module.py}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matrix_federation_agent

from ._scenario import Shown
from ._synapse import Synapse
from ._ways import Names, Surroundings

_EXAMPLE = Path(__file__).parent.parent / "examples" / "synapse_module.py"


class Module:
    """
    No process between them: each Synapse sends with our agent, which alone knows where C{hs1.test} and C{hs2.test}
    are.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._names = Names(surroundings.reactor)
        self._modules = surroundings.directory / "modules"

    def names(self, ports: Sequence[int]) -> list[str]:
        """
        Name the homeservers, in DNS that only the modules ask.
        """
        return self._names.add(ports)

    def settings(self) -> Mapping[str, Any]:
        """
        The module, and its settings.
        """
        settings = {
            "trust": {"ca_files": [str(self._surroundings.root)], "use_system_roots": False},
            "addresses": {"allow": ["127.0.0.0/8"]},
            "dns": self._names.address,
        }
        return {"modules": [{"module": "synapse_module.FederationAgentModule", "config": settings}]}

    def environment(self) -> Mapping[str, str]:
        """
        Where the module and our package are, and nothing else of our environment.
        """
        return {"PYTHONPATH": str(self._modules)}

    async def start(self) -> None:
        """
        Put both where Synapse finds them.
        """
        package = Path(matrix_federation_agent.__file__).parent
        self._modules.mkdir()
        (self._modules / package.name).symlink_to(package)
        (self._modules / _EXAMPLE.name).symlink_to(_EXAMPLE)

    async def stop(self) -> None:
        """
        End the DNS.
        """
        await self._names.stop()

    def evidence(self, servers: Sequence[Synapse]) -> list[Shown]:
        """
        Nobody but our agents can have found out where the others are.
        """
        wanted = sorted(f"_matrix-fed._tcp.{server.name}" for server in servers)
        asked = [name for name in self._names.asked() if name.startswith("_matrix-fed.")]
        return [Shown(f"SRV records that our agents asked for: {asked}", asked == wanted)]
