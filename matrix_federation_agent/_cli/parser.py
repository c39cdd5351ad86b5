"""
The command line: its grammar, and what it asks for.
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, NoReturn

import attrs

from .._options import whole_number
from .._text import escaped
from .._version import __version__
from ..errors import ConfigurationError, InvalidURI
from . import arguments
from .check import Check
from .console import PROGRAM
from .demo import Demo
from .request import Request
from .resolve import Resolve
from .settings import setting_error

if TYPE_CHECKING:
    from argparse import _ArgumentGroup, _SubParsersAction
    from collections.abc import Sequence

Command = Resolve | Request | Check | Demo

STATUSES = """\
exit status:
  0    done; of a request: the server answered, with whatever status;
       of a check: each address passed
  1    it failed, and standard error says why
  2    the command line or a setting is not usable
  130  interrupted
"""


@attrs.frozen
class Invocation:
    """
    What the command line asks for.

    @ivar colour: whether colours are welcome.
    """

    command: Command
    colour: bool


class Parser(ArgumentParser):
    """
    An C{ArgumentParser} whose errors cannot control a terminal.
    """

    def error(self, message: str) -> NoReturn:
        """
        Show the usage and an error, and exit with status 2.
        """
        super().error(escaped(message))


def parse(argv: Sequence[str]) -> Invocation:
    """
    Read a command line.

    @raise SystemExit: when it only asks for help or the version (0), or is
        not usable (2); this is then said already.
    """
    options = _parser().parse_args(argv)
    try:
        command = options.make(options)
    except ConfigurationError as error:
        options.parser.error(setting_error(error))
    except InvalidURI as error:
        options.parser.error(f"argument PATH: {error}")
    return Invocation(command, not options.no_color)


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Find, verify and ask Matrix servers by their names.",
        epilog=STATUSES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_resolve(commands)
    _add_request(commands)
    _add_check(commands)
    _add_demo(commands)
    return parser


def _add_command(commands: _SubParsersAction[Parser], command: type[Command], name: str, summary: str) -> Parser:
    """
    Add a command with the options that all have.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary.capitalize()}.",
        epilog=STATUSES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(make=command.of, parser=parser)
    parser.add_argument("--timeout", type=arguments.seconds, metavar="SECONDS", help="for the whole command")
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    parser.add_argument("--no-color", action="store_true", help="no colours, also on a terminal")
    return parser


def _add_resolve(commands: _SubParsersAction[Parser]) -> None:
    parser = _add_command(commands, Resolve, "resolve", "explain where a server name leads")
    parser.add_argument("name", type=arguments.server_name, metavar="NAME", help="a Matrix server name")
    parser.add_argument(
        "--explain", action="store_true", help="show what is remembered of it, for how long, and what settled that"
    )
    _add_policies(parser)


def _add_request(commands: _SubParsersAction[Parser]) -> None:
    parser = _add_command(commands, Request, "request", "send an HTTP request to a server")
    parser.add_argument("name", type=arguments.server_name, metavar="NAME", help="a Matrix server name")
    parser.add_argument("path", metavar="PATH", help="path and query, percent-encoded; sent byte for byte")
    what = parser.add_argument_group("request")
    what.add_argument("-X", "--request", type=arguments.method, metavar="METHOD", help="default: GET; POST with --data")
    what.add_argument("--data", type=arguments.data, metavar="TEXT|@FILE", help="the body; @- is standard input")
    what.add_argument(
        "-H", "--header", type=arguments.header, action="append", default=[], metavar="'Name: value'", help="repeatable"
    )
    _add_policies(parser)


def _add_check(commands: _SubParsersAction[Parser]) -> None:
    parser = _add_command(commands, Check, "check", "look at the TLS of a server, at each of its addresses")
    parser.add_argument("name", type=arguments.server_name, metavar="NAME", help="a Matrix server name")
    _add_policies(parser)


def _add_demo(commands: _SubParsersAction[Parser]) -> None:
    _add_command(commands, Demo, "demo", "watch the agent in a federation on this machine")


def _add_policies(parser: Parser) -> None:
    trust = parser.add_argument_group("trust")
    _add_list(trust, "--ca-file", "FILE", "PEM file of root certificates; repeatable")
    trust.add_argument("--no-system-roots", action="store_true", help="only the roots of --ca-file")
    _add_list(trust, "--exempt-domain", "GLOB", "domains whose certificates are not checked; repeatable")
    _add_list(trust, "--exempt-network", "CIDR", "addresses whose certificates are not checked; repeatable")
    trust.add_argument("--minimum-tls", choices=("1.2", "1.3"), default="1.2", help="default: 1.2")
    trust.add_argument("--client-certificate", metavar="FILE", help="PEM file of what is shown to servers that ask")
    trust.add_argument("--client-key", metavar="FILE", help="its private key, if it has a file of its own")
    trust.add_argument("--ct-log-list", metavar="FILE", help="Certificate Transparency logs: JSON, version 3")
    trust.add_argument(
        "--required-scts", type=whole_number, default=0, metavar="N", help="timestamps of different logs; default: 0"
    )
    addresses = parser.add_argument_group("addresses")
    _add_list(addresses, "--allow-network", "CIDR", "connect there in any case; repeatable")
    _add_list(addresses, "--deny-network", "CIDR", "never connect there, nor to special-purpose ranges; repeatable")
    addresses.add_argument(
        "--dns", type=arguments.name_server, metavar="HOST:PORT", help="the name server: an address, [::1]:53 for IPv6"
    )
    proxies = parser.add_argument_group("proxies")
    _add_list(
        proxies, "--proxy", "[PATTERN=]URL|direct", "which hosts go through which proxy; the first that fits counts"
    )
    proxies.add_argument(
        "--proxy-environment", action="store_true", help="and then what https_proxy, all_proxy and no_proxy say"
    )
    proxies.add_argument(
        "--proxy-resolve-here", action="store_true", help="resolve names for http and https proxies here"
    )


def _add_list(group: _ArgumentGroup, option: str, metavar: str, help: str) -> None:
    group.add_argument(option, action="append", default=[], metavar=metavar, help=help)
