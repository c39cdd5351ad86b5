"""
aiohttp, the view beyond Twisted: on asyncio's own loop, with the C{ssl} of the standard library.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from typing import Any

from aiohttp import ClientSession, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from ._contenders import HEADERS, https_direct, succeeded
from ._crowd import PORTS
from ._load import Client, Given, Question, Work


class _Tabled(AbstractResolver):
    """
    Knows where the crowd is, at no cost, as the table of the other contenders; and leads its ports to the far side.
    """

    def __init__(self, port: int) -> None:
        self._ports = dict.fromkeys(PORTS, port)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._ports[port],
                family=socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """
        Nothing is open.
        """


def _client(session: ClientSession) -> Client:
    async def ask(question: Question) -> bytes:
        url = https_direct(question.name) + question.path
        async with session.request(question.method, url, headers=HEADERS, data=question.body or None) as response:
            succeeded(response.status)
            return await response.read()

    async def download(question: Question) -> int:
        async with session.get(https_direct(question.name) + question.path, headers=HEADERS) as response:
            succeeded(response.status)
            counted = 0
            async for data in response.content.iter_any():
                counted += len(data)
            return counted

    async def gather(coroutines: Any) -> Any:
        return await asyncio.gather(*coroutines)

    return Client(ask, download, gather, session.close)


async def _worked(work: Work, given: Given) -> dict[str, Any]:
    connector = TCPConnector(
        ssl=ssl.create_default_context(cafile=given["root_file"]),
        limit=given["at_once"],
        force_close=not given.get("keep", True),
        resolver=_Tabled(given["port"]),
    )
    async with ClientSession(connector=connector) as session:
        return await work(_client(session), given)


def be_aiohttp(work: Work) -> None:
    """
    Be the child process: read JSON, do the work, write JSON.
    """
    print(json.dumps(asyncio.run(_worked(work, json.loads(sys.stdin.read())))))
