"""
Running a command: the reactor, what may go wrong around it, the exit status.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from zope.interface import provider

from .._text import escaped
from ..errors import ConfigurationError, InvalidRequest
from .console import Console, OutputLost
from .parser import parse
from .settings import setting_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.logger import LogEvent

    from .._reactor import IReactor
    from .parser import Command

FAILED = 1
UNUSABLE = 2
INTERRUPTED = 130
"""
128 and the number of SIGINT, as shells count.
"""


def run(arguments: Sequence[str]) -> NoReturn:
    """
    Run one command in this process, which ends with its status.

    @param arguments: those of the command line, without the program's name.
    @raise SystemExit: always.
    """
    invocation = parse(arguments)
    console = Console.standard(os.environ, colour=invocation.colour)
    globalLogBeginner.beginLoggingTo([observer(console)], discardBuffer=True, redirectStandardIO=False)
    react(_run_and_exit, (invocation.command, console))


async def _run_and_exit(reactor: IReactor, command: Command, console: Console) -> None:
    # Before the reactor runs, Ctrl-C is still an exception, which any Deferred
    # would take for its own failure.
    started: Deferred[None] = Deferred()
    reactor.callWhenRunning(started.callback, None)
    await started
    status = await until_interrupted(reactor, command, console)
    if status:
        # This is how react() is told.
        raise SystemExit(status)


async def until_interrupted(reactor: IReactor, command: Command, console: Console) -> int:
    """
    Run a command until it ends, or the reactor is told to stop: by Ctrl-C,
    for instance.  It then puts everything away before the reactor is gone.

    @return: the exit status.
    """
    running = Deferred.fromCoroutine(perform(reactor, command, console))
    away: Deferred[None] = Deferred()

    def interrupt() -> Deferred[None]:
        running.cancel()
        return away

    reactor.addSystemEventTrigger("before", "shutdown", interrupt)
    try:
        return await running
    except CancelledError:
        console.complain("interrupted")
        return INTERRUPTED
    finally:
        away.callback(None)


async def perform(reactor: IReactor, command: Command, console: Console) -> int:
    """
    Run a command; whatever can be wrong with its settings or its output is
    told here.

    @return: the exit status.
    """
    try:
        return await command.run(reactor, console)
    except ConfigurationError as error:
        console.complain(escaped(f"error: {setting_error(error)}"))
        return UNUSABLE
    except InvalidRequest as error:
        console.complain(escaped(f"error: the request cannot be sent: {error.reason}"))
        return UNUSABLE
    except OutputLost as error:
        if error.reason:
            console.complain(f"cannot write the output: {error.reason}")
        return FAILED


def observer(console: Console) -> ILogObserver:
    """
    Make the observer of what Twisted logs: only what nobody handled is
    told, in one line.
    """

    @provider(ILogObserver)
    def tell(event: LogEvent) -> None:
        failure = event.get("log_failure")
        what = formatEvent(event) if failure is None else f"{failure.type.__name__}: {failure.getErrorMessage()}"
        console.complain(escaped(f"internal error: {what}"))

    return FilteringLogObserver(tell, [LogLevelFilterPredicate(defaultLogLevel=LogLevel.critical)])
