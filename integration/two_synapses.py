"""
Two real homeservers that federate through the gateway, or by another way.

Both are Synapse, unmodified, in processes of their own, on loopback, in a temporary folder. Every step is printed; the
exit status is 1 when one of them did not end as it must.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.web.client import HTTPConnectionPool

from matrix_federation_agent.testing import Certificates

from ._account import Unexpected
from ._environment import synapse_python
from ._gateway import LOCATIONS, Gateway
from ._module import Module
from ._program import NotReady, Program, free_ports
from ._scenario import Scenario, Shown
from ._synapse import Synapse
from ._ways import Direct, Surroundings, Way


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration.two_synapses", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--synapse-python", metavar="PATH", help="the interpreter of an environment that has Synapse")
    where.add_argument("--venv", metavar="PATH", help="an environment for Synapse, which is made if it is not there")
    parser.add_argument(
        "--through", choices=["direct", "gateway", "module"], default="gateway", help="the way between them"
    )
    parser.add_argument("--location", choices=LOCATIONS, default="tcp", help="how they connect to the gateway")
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder, with everybody's logs, there")
    return parser.parse_args()


class Report:
    """
    What is printed, and whether all of it was good.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._start = reactor.seconds()
        self.good = True

    def say(self, mark: str, text: str) -> None:
        """
        Print one line.
        """
        print(f"{self._reactor.seconds() - self._start:6.1f} s  {mark:6}  {text}", flush=True)

    def tell(self, shown: Shown) -> None:
        """
        Print the outcome of one step.
        """
        self.good = self.good and shown.holds
        self.say("ok" if shown.holds else "FAILED", shown.what)

    def failed(self, error: Exception) -> None:
        """
        Print why there will be no more steps.
        """
        self.tell(Shown(str(error), holds=False))


class Run:
    """
    One run.
    """

    def __init__(self, reactor: Any, python: str, way: Way, surroundings: Surroundings, report: Report) -> None:
        self._reactor = reactor
        self._python = python
        self._way = way
        self._surroundings = surroundings
        self._report = report

    async def all(self) -> None:
        """
        Start everything, go through the scenario, end everything, and compare.
        """
        servers = self._configured()
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._way.stop)
                await self._way.start()
                await self._start(servers, stack)
                await self._scenario(servers, stack)
        except (NotReady, Unexpected) as error:
            self._report.failed(error)
        else:
            self._report.say("", "all processes have ended")
            for shown in self._way.evidence(servers):
                self._report.tell(shown)

    def _configured(self) -> list[Synapse]:
        *clients, first, second = free_ports(4)
        directory, certificates = self._surroundings.directory, self._surroundings.certificates
        servers = []
        for number, name in enumerate(self._way.names([first, second])):
            server = Synapse(name, directory / f"hs{number + 1}", clients[number], (first, second)[number])
            certificate = certificates.issue(name.partition(":")[0])
            server.configure(certificate, self._surroundings.root, self._way.settings())
            servers.append(server)
        return servers

    async def _start(self, servers: list[Synapse], stack: AsyncExitStack) -> None:
        programs: list[Program] = []
        stack.push_async_callback(_stopped, programs)
        environment = self._way.environment()
        programs += [server.start(self._reactor, self._python, environment) for server in servers]
        for server, program in zip(servers, programs, strict=True):
            await server.ready(program)
        self._report.say("", f"ready: {', '.join(server.name for server in servers)}")

    async def _scenario(self, servers: list[Synapse], stack: AsyncExitStack) -> None:
        pool = HTTPConnectionPool(self._reactor)
        stack.push_async_callback(pool.closeCachedConnections)
        first, second = servers
        scenario = await Scenario.begin(self._reactor, first, second, pool)
        async for shown in scenario.steps():
            self._report.tell(shown)


async def _stopped(programs: Sequence[Program]) -> None:
    await gatherResults([Deferred.fromCoroutine(program.stop()) for program in programs])


def _way(given: argparse.Namespace, surroundings: Surroundings) -> Way:
    if given.through == "gateway":
        return Gateway(surroundings, given.location)
    return Module(surroundings) if given.through == "module" else Direct()


async def main(reactor: Any, given: argparse.Namespace, directory: Path) -> bool:
    """
    Run, and tell whether everything was as it must be.
    """
    certificates = Certificates()
    root = directory / "root.pem"
    root.write_bytes(certificates.root_pem)
    surroundings = Surroundings(reactor, directory, certificates, root)
    report = Report(reactor)
    await Run(reactor, synapse_python(given), _way(given, surroundings), surroundings, report).all()
    report.say("", f"{'everything' if report.good else 'not everything'} is as it must be")
    return report.good


async def _in_folder(reactor: Any, given: argparse.Namespace) -> None:
    directory = Path(mkdtemp(prefix="two-synapses-"))
    try:
        good = await main(reactor, given, directory)
    finally:
        if given.keep:
            print(f"kept: {directory}")
        else:
            rmtree(directory)
    if not good:
        raise SystemExit(1)


def _run(reactor: Any, given: argparse.Namespace) -> Deferred[None]:
    """
    Run until the end, which an interruption brings forward: also then every process is ended, and the folder removed.
    """
    running = Deferred.fromCoroutine(_in_folder(reactor, given))
    ended: Deferred[None] = Deferred()

    def end(result: object) -> object:
        ended.callback(None)
        return result

    def interrupt() -> Deferred[None]:
        running.cancel()
        return ended

    reactor.addSystemEventTrigger("before", "shutdown", interrupt)
    return running.addBoth(end)


if __name__ == "__main__":
    react(_run, [_arguments()])
