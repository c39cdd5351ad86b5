"""
The house keeps its walls: what pure modules may import, and what nobody may.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from .case import TestCase

PACKAGE = "matrix_federation_agent"
CHECKOUT = Path(__file__).parent.parent

PURE = [
    f"{PACKAGE}.{name}"
    for name in (
        "errors",
        "_server_name",
        *(f"_policies.{name}" for name in ("addresses", "connections", "discovery", "domains", "networks", "proxies")),
        "_policies.gateway",
        "_failures",
        *(f"_policies.{name}" for name in ("proxy_urls", "trust", "validation")),
        "_identity",
        "_options",
        "_text",
        "_route",
        "_uri",
        "_discovery.freshness",
        "_discovery.questions",
        "_discovery.delegation",
        "_discovery.routing",
        "_discovery.cache",
        *(f"_connect.{name}" for name in ("addresses", "attempts", "candidates", "order", "places")),
        "_connect.http_connect",
        "_connect.negotiation",
        "_connect.socks5",
        *(f"_gateway.{name}" for name in ("config_file", "configuration", "kinds", "settings", "surroundings")),
        *(f"_gateway.{name}" for name in ("head", "reading")),
        *(f"_http.{name}" for name in ("decoding", "failures", "framing", "head", "reading", "request")),
        *(f"_gateway.{name}" for name in ("access_log", "admission", "answers", "counting", "failures", "refusals")),
        *(f"_gateway.{name}" for name in ("forwarding", "head", "reading", "secret", "targets")),
        *(f"_tls.{name}" for name in ("contents", "objections", "pem", "reasons", "remedies")),
        *(f"_tls.{name}" for name in ("log_list", "transparency")),
    )
]

# Networks, clocks and chance; and the way round this test.
IMPURE = ("twisted.internet", "OpenSSL", "socket", "ssl", "time", "random", "asyncio", "importlib")

# Exception classes only; that they are is a test of its own.
EXCEPTION = (f"{PACKAGE}.errors", "twisted.internet.error")


def within(name: str, package: str) -> bool:
    """Tell whether a dotted name is a package or lies in it."""
    return name == package or name.startswith(f"{package}.")


def imported(source: str, module: str, *, at_run_time: bool) -> set[str]:
    """
    Find everything that a source imports, in functions too, as dotted names: C{a.b} and C{a.b.c} for
    C{from a.b import c}.

    @param module: the name of the module, or of the package with a final dot.
    """
    found: set[str] = set()
    for node in _nodes(ast.parse(source), at_run_time=at_run_time):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(module.split(".")[: -node.level]) if node.level else ""
            origin = ".".join(part for part in (above, node.module) if part)
            found.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
        elif isinstance(node, ast.Name) and node.id == "__import__":
            found.add("importlib")
    return found


def _nodes(node: ast.AST, *, at_run_time: bool) -> Iterator[ast.AST]:
    """Walk a tree; what is only there for type checkers is left out where run time is meant."""
    yield node
    for field in ast.iter_child_nodes(node):
        if at_run_time and isinstance(node, ast.If) and _is_type_checking(node.test) and field not in node.orelse:
            continue
        yield from _nodes(field, at_run_time=at_run_time)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def path_of(module: str) -> Path | None:
    """Find the file of a module of the package."""
    base = CHECKOUT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def reached(module: str) -> set[str]:
    """
    Find the modules of the package that a module imports, through others as well; each brings the packages round it,
    except the outermost, which brings everything.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = path_of(name) if within(name, PACKAGE) and name != PACKAGE else None
        if path is None or name in found:
            continue
        found.add(name)
        waiting += [name.rpartition(".")[0], *imported_by(path, name)]
    return found


def imported_by(path: Path, name: str) -> set[str]:
    """Find what a file imports at run time."""
    # In a package, one dot means the package itself.
    inside = f"{name}." if path.name == "__init__.py" else name
    return imported(path.read_text("utf-8"), inside, at_run_time=True)


def offences(source: str, module: str) -> set[str]:
    """Find what a pure module imports and must not."""
    names = imported(source, module, at_run_time=True)
    if module == EXCEPTION[0]:
        names = {name for name in names if not within(name, EXCEPTION[1])}
    return {name for name in names if any(within(name, impure) for impure in IMPURE)}


def everybodys_offences(source: str, module: str) -> set[str]:
    """Find what no module may import: the global reactor, and private modules and names of Twisted."""
    names = imported(source, module, at_run_time=False)
    return {name for name in names if within(name, "twisted.internet.reactor") or _is_private(name)}


def _is_private(name: str) -> bool:
    return within(name, "twisted") and any(part.startswith("_") for part in name.split("."))


def sources() -> list[Path]:
    """List every source of the package, and the plugin."""
    return sorted([*(CHECKOUT / PACKAGE).rglob("*.py"), *(CHECKOUT / "twisted").rglob("*.py")])


class PureModuleTests(TestCase):
    """Rule 2 of the house."""

    def test_pure_modules_reach_nothing_impure(self) -> None:
        """Neither a pure module nor what it imports inside the package imports network, clock or chance."""
        for module in PURE:
            for name in reached(module):
                path = path_of(name)
                assert path is not None
                self.assertEqual(offences(path.read_text("utf-8"), name), set(), f"{module} by way of {name}")

    def test_every_pure_module_exists(self) -> None:
        """The list above has no name that has changed meanwhile."""
        self.assertEqual([module for module in PURE if path_of(module) is None], [])

    def test_the_exception_is_for_exceptions(self) -> None:
        """What C{errors} imports of C{twisted.internet.error} are classes of exceptions."""
        module, origin = EXCEPTION
        path = path_of(module)
        assert path is not None
        names = {name for name in imported_by(path, module) if name.startswith(f"{origin}.")}
        found = {vars(import_module(origin))[name.rpartition(".")[2]] for name in names}
        self.assertEqual((len(found) > 0, [one for one in found if not issubclass(one, Exception)]), (True, []))


class EveryModuleTests(TestCase):
    """Rules 3 and 6 of the house."""

    def test_nobody_imports_the_reactor_or_private_twisted(self) -> None:
        """Not even late, and not even for types; but C{twist} hands no reactor to what it runs."""
        for path in sources():
            module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
            expected = {"twisted.internet.reactor"} if module == f"{PACKAGE}._gateway.tap" else set()
            self.assertEqual(everybodys_offences(path.read_text("utf-8"), module), expected, str(path))

    def test_importing_the_package_installs_no_reactor(self) -> None:
        """A program can still choose its reactor after it has imported us."""
        code = f"import sys, {PACKAGE}, {PACKAGE}.testing; print('twisted.internet.reactor' in sys.modules)"
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
        )
        self.assertEqual(run.stdout, "False\n")


class WalkerTests(TestCase):
    """The walker itself finds what it looks for."""

    def test_offenders_are_found(self) -> None:
        """Every spelling of an import counts, in functions too."""
        cases = [
            ("import time", {"time"}),
            ("import twisted.internet.defer", {"twisted.internet.defer"}),
            ("from twisted import internet", {"twisted.internet"}),
            ("from twisted.internet.error import TimeoutError", {"twisted.internet.error"}),
            ("import OpenSSL.SSL as SSL", {"OpenSSL.SSL"}),
            ("def f():\n    from random import Random", {"random"}),
            ("try:\n    import socket\nexcept ImportError:\n    pass", {"socket"}),
            ("if not TYPE_CHECKING:\n    import socket", {"socket"}),
            ("if TYPE_CHECKING:\n    pass\nelse:\n    import socket", {"socket"}),
            ("async def f():\n    __import__('time')", {"importlib"}),
        ]
        for source, expected in cases:
            self.assertEqual(expected - offences(source, f"{PACKAGE}._uri"), set(), source)

    def test_innocents_are_not_found(self) -> None:
        """Types, and names that merely begin alike, are no offence."""
        for source in (
            "if TYPE_CHECKING:\n    import time",
            "import timeit",
            "from .time import x",
            "from .. import ssl",
        ):
            self.assertEqual(offences(source, f"{PACKAGE}._discovery.cache"), set(), source)

    def test_the_exception_is_for_one_module(self) -> None:
        """What C{errors} may import, and what not."""
        source = "from twisted.internet.error import ConnectError\nfrom twisted.internet.defer import Deferred"
        self.assertEqual(
            offences(source, f"{PACKAGE}.errors"), {"twisted.internet.defer", "twisted.internet.defer.Deferred"}
        )

    def test_imports_are_followed(self) -> None:
        """Relative imports lead through other modules and the packages round them."""
        expected = {"_discovery", "_discovery.routing", "_server_name", "errors"}
        found = reached(f"{PACKAGE}._discovery.routing")
        self.assertEqual(found, {f"{PACKAGE}.{name}" for name in expected})

    def test_impure_modules_are_offenders(self) -> None:
        """A shell of the house would not pass for pure."""
        found = [reached(f"{PACKAGE}.{name}") for name in ("_deadlines", "_connect.exchange")]
        self.assertEqual([f"{PACKAGE}._deadlines" in names for names in found], [True, True])
        path = path_of(f"{PACKAGE}._deadlines")
        assert path is not None
        self.assertNotEqual(offences(path.read_text("utf-8"), f"{PACKAGE}._deadlines"), set())

    def test_the_reactor_and_private_modules_are_found(self) -> None:
        """Every spelling counts, for types too."""
        cases = [
            ("def f():\n    from twisted.internet import reactor", {"twisted.internet.reactor"}),
            ("import twisted.internet.reactor", {"twisted.internet.reactor"}),
            ("from twisted.web import _newclient", {"twisted.web._newclient"}),
            ("if TYPE_CHECKING:\n    from twisted.web.client import _x", {"twisted.web.client._x"}),
            ("from ._agent import x\nfrom twisted.internet.task import react", set()),
        ]
        for source, expected in cases:
            self.assertEqual(everybodys_offences(source, PACKAGE), expected, source)
