"""
The options of C{twist matrix-federation-gateway}.
"""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.python.usage import Options, UsageError

from .._text import escaped
from ..errors import ConfigurationError
from .config_file import ConfigFile
from .configuration import Configuration, Given
from .settings import Setting, settings

if TYPE_CHECKING:
    from argparse import _ArgumentGroup
    from collections.abc import Sequence

NAME = "matrix-federation-gateway"
DESCRIPTION = "Forwards matrix-federation:// requests of homeservers to other Matrix servers."
_EPILOG = """\
Each setting may stand in the file of --config as well, in the table that heads it here; options win over the file.
SIGHUP has the files of trust and of the secret read again. SIGTERM ends the gateway once what is under way has ended.
"""


class Parser(ArgumentParser):
    """
    An C{ArgumentParser} that raises its errors, and leaves it to C{twist} to
    tell them.
    """

    def error(self, message: str) -> NoReturn:
        """
        Raise an error.

        @raise UsageError: always; its text cannot control a terminal.
        """
        raise UsageError(escaped(message))


class GatewayOptions(Options):
    """
    The options, parsed by C{argparse}, which groups and wraps their help and
    knows lists, and switches that have a C{--no-}.

    @ivar configuration: what they say, together with the file; is there once
        they are parsed.
    """

    configuration: Configuration

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._settings = settings()
        self._parser = _parser(self._settings)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse a command line, and read the file that it names.

        @raise UsageError: when a setting is not usable.
        @raise SystemExit: after the help.
        """
        found = vars(self._parser.parse_args(sys.argv[1:] if options is None else options))
        try:
            file = ConfigFile.read(found["config"]).given(self._settings) if "config" in found else {}
            self.configuration = Configuration.of({**file, **self._given(found)}, os.environ)
        except ConfigurationError as error:
            raise UsageError(escaped(error.reason)) from error

    def _given(self, found: dict[str, Any]) -> dict[Setting, Given]:
        return {
            setting: Given(found[str(setting)], partial("argument {}".format, setting.option))
            for setting in self._settings
            if str(setting) in found
        }

    def getUsage(self, width: int | None = None) -> str:
        """
        Tell the usage, which C{twist} shows after an error: the whole help
        would push the error off the screen.
        """
        return f"{self._parser.format_usage()}{NAME} --help tells all options."

    def __str__(self) -> str:
        return self.getUsage()


def _parser(settings: Sequence[Setting]) -> Parser:
    # What is not given is not there at all, so that the file may say it.
    parser = Parser(
        prog=f"twist {NAME}",
        usage="%(prog)s [--config FILE] [--listen ENDPOINT] [--secret-file FILE] [OPTION...]",
        description=DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
        argument_default=SUPPRESS,
    )
    parser.add_argument("--config", metavar="FILE", help="a file of settings, in TOML")
    for table, members in groupby(settings, lambda setting: setting.table):
        group = parser.add_argument_group(f"[{table}]")
        for setting in members:
            _add(group, setting)
    return parser


def _add(group: _ArgumentGroup, setting: Setting) -> None:
    # A percent sign would be read as the start of a format.
    said = _help(setting).replace("%", "%%")
    if setting.kind.is_switch:
        group.add_argument(setting.option, dest=str(setting), action=BooleanOptionalAction, help=said)
        return
    group.add_argument(
        setting.option,
        dest=str(setting),
        action="append" if setting.kind.is_list else "store",
        type=setting.kind.of_text,
        choices=setting.choices or None,
        metavar=setting.kind.metavar,
        help=said,
    )


def _help(setting: Setting) -> str:
    notes = [setting.summary]
    if setting.kind.is_list:
        notes.append("repeatable")
    default = setting.default
    if isinstance(default, bool):
        notes.append(f"default: {'yes' if default else 'no'}")
    elif isinstance(default, (int, float)):
        notes.append(f"default: {default:.15g}")
    elif isinstance(default, str):
        notes.append(f"default: {default}")
    return "; ".join(notes)
