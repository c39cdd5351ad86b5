"""
A homeserver of blocking sockets and threads, which sends and takes large bodies as fast as it is told to.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from ._chains import Chain

MIB = 2**20
PIECE = 65536
BUFFER = 4 * PIECE
"""
Bytes that the system keeps for a socket of a slow side; without a limit it would keep several MiB.
"""

Write = Callable[[bytes], object]
Read = Callable[[int], bytes]


def send_paced(write: Write, size: int, rate: float) -> None:
    """
    Send so many bytes.

    @param rate: bytes a second; 0 for as fast as they are taken.
    """
    piece, began = b"x" * PIECE, monotonic()
    for sent in range(0, size, PIECE):
        write(piece[: size - sent])
        _rest(began, sent, rate)


def take_paced(read: Read, size: int, rate: float) -> int:
    """
    Take so many bytes, unless they end before.

    @param rate: bytes a second; 0 for as fast as they come.
    @return: how many there were.
    """
    taken, began = 0, monotonic()
    while taken < size and (data := read(min(PIECE, size - taken))):
        taken += len(data)
        _rest(began, taken, rate)
    return taken


def _rest(began: float, done: int, rate: float) -> None:
    if rate:
        sleep(max(0.0, began + done / rate - monotonic()))


class SlowServer:
    """
    The server. It answers C{PUT} with the number of bytes that it took, and C{GET} with as many as the path says.

    @ivar rate: bytes a second, of what is sent and what is taken; 0 for as fast as it goes.
    """

    def __init__(self) -> None:
        self.rate = 0.0

    def serve(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        """
        Accept until the socket is closed.
        """
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=self._talk, args=(connection, context), daemon=True).start()

    def _talk(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        # A client that leaves, or does not like the certificate, is none of its business.
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            while head := _head(secure.recv):
                self._answer(secure, head)

    def _answer(self, secure: ssl.SSLSocket, head: bytes) -> None:
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        if head.startswith(b"GET "):
            size = int(head.split(b" ")[1][1:])
            secure.sendall(start % size)
            send_paced(secure.sendall, size, self.rate)
            return
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        taken = b"%d" % take_paced(secure.recv, length, self.rate)
        secure.sendall(start % len(taken) + taken)


def _head(read: Read) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = read(1)
        if not data:
            return b""
        head += data
    return head


@contextmanager
def slow_server(chain: Chain, directory: Path) -> Iterator[tuple[SlowServer, int]]:
    """
    Run it.

    @return: the server, and its port.
    """
    shown, key = directory / "shown.pem", directory / "key.pem"
    shown.write_text("".join(chain.shown), "ascii")
    key.write_text(chain.key, "ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    server = SlowServer()
    with socket.socket() as listening:
        # Connections have what it has.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=server.serve, args=(listening, context), daemon=True).start()
        yield server, listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
