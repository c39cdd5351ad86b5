"""
Response bodies, passed on to somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._connect.body import pass_on as pass_pieces_on
from ..errors import ResponseFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.iweb import IResponse


async def pass_on(response: IResponse, server_name: str, write: Callable[[bytes], object]) -> None:
    """
    Write a body, piece by piece, as it arrives.

    @param server_name: what an error names.
    @param write: takes the pieces; what it raises ends the whole.
    @raise ResponseFailed: when the body ends too early.
    """
    await pass_pieces_on(response, write, ResponseFailed(server_name, "the body of the response broke off"))
