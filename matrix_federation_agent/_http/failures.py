"""
Words for what went wrong with a request or a response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FederationError, ResponseFailed
from .head import MalformedMessage

if TYPE_CHECKING:
    from twisted.python.failure import Failure


def words(reason: Failure) -> str:
    """
    Name a failure without repeating what a remote sent.
    """
    error = reason.value
    if isinstance(error, FederationError):
        return error.reason
    # Whose texts are our own, or Twisted's.
    if isinstance(error, MalformedMessage) or type(error).__module__.startswith("twisted.internet"):
        return reason.getErrorMessage().rstrip(".")
    return type(error).__name__


def unanswered(asked: str, reason: Failure) -> ResponseFailed:
    """
    Make the error of a request whose response did not come, or cannot be
    used.

    @param asked: the server that was asked for.
    """
    return _failed(asked, f"no usable response: {words(reason)}", reason)


def unproduced(asked: str, reason: Failure) -> ResponseFailed:
    """
    Make the error of a request whose body did not come about.

    @param asked: the server that was asked for.
    """
    return _failed(asked, f"the body of the request could not be produced: {words(reason)}", reason)


def _failed(asked: str, text: str, reason: Failure) -> ResponseFailed:
    error = ResponseFailed(asked, text)
    error.__cause__ = reason.value
    return error
