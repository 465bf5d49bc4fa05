"""A TCP proxy on loopback that can be hurt: cut, slow, half-open, deaf in one direction, closed.

It runs in a thread with an event loop of its own; the methods may be called from any thread and return when
they have taken effect.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from infra.local.state import HOST, free_ports

Direction = Literal["to_server", "to_client"]
CHUNK = 65536
HELD_CHUNKS = 16
"""What may be on its way in one direction of one connection; then the sender has to wait."""
RESET, ORDERLY = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""SO_LINGER: with a time of 0 s, close sends RST; switched off, it sends FIN."""


class Proxy:
    """Forwards every connection on `port` to `target_port`. A context manager."""

    def __init__(self, target_port: int, port: int | None = None) -> None:
        self.port = port if port is not None else free_ports(1)[0]
        self.target_port = target_port
        self._listener: socket.socket | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._spoiled: set[asyncio.Task[None]] = set()
        self._delay = 0.0
        self._swallowed: Direction | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)
        self._thread.start()
        try:
            self._run(self._listen)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._deafen)
        self.cut()
        self._end()

    @property
    def connections(self) -> int:
        """How many connections clients have through the proxy now."""
        return len(self._serving)

    def cut(self) -> None:
        """End all connections now, on both sides, by a reset; new ones are welcome."""
        self._run(lambda: None, self._serving)

    def delay(self, seconds: float) -> None:
        """Let every byte from now on arrive so much later, in both directions."""

        def change() -> None:
            self._delay = seconds

        self._run(change)

    def half_open(self) -> None:
        """Forward nothing any more: connections stay open and silent, new ones are accepted and silent."""

        def change() -> None:
            self._flowing.clear()
            self._spoiled |= self._serving

        self._run(change)

    def one_way(self, swallowed: Direction) -> None:
        """Throw away all that goes in this direction; the other one goes on."""

        def change() -> None:
            self._swallowed = swallowed
            self._spoiled |= self._serving

        self._run(change)

    def refuse(self) -> None:
        """Stop listening: a new connection is refused. Those that are open go on; `cut` ends them."""
        self._run(self._deafen)

    def heal(self) -> None:
        """Back to normal. Connections that lost bytes, or hold some, are cut and their bytes with them."""

        def change() -> None:
            self._delay = 0.0
            self._swallowed = None
            self._flowing.set()
            self._listen()

        self._run(change, self._spoiled)

    def _run(self, change: Callable[[], None], cut: set[asyncio.Task[None]] | None = None) -> None:
        """In the loop's thread: cut these connections, then change something; returns when it is done."""

        async def work() -> None:
            ended = [connection for connection in cut or () if connection.cancel()]
            await asyncio.gather(*ended, return_exceptions=True)
            change()

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=128)
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _deafen(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # it went away while it waited
        _prepare(client)
        connection = self._loop.create_task(self._serve(client))
        self._serving.add(connection)
        connection.add_done_callback(self._serving.discard)
        connection.add_done_callback(self._spoiled.discard)
        # Here, because a task that is cancelled before its first step runs no `finally`.
        connection.add_done_callback(lambda _: client.close())
        if self._swallowed or not self._flowing.is_set():
            self._spoiled.add(connection)

    async def _serve(self, client: socket.socket) -> None:
        """One connection until both sides have ended it; anything else resets both."""
        server = socket.socket()
        _prepare(server)
        try:
            await self._flowing.wait()
            await self._loop.sock_connect(server, (HOST, self.target_port))
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(client, server, "to_server"))
                pumps.create_task(self._pump(server, client, "to_client"))
            for end in (client, server):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ORDERLY)
        except* OSError:
            pass  # one side reset its connection or takes none: so does the other
        finally:
            server.close()

    async def _pump(self, source: socket.socket, target: socket.socket, direction: Direction) -> None:
        """Carry one direction to its end. The delay does not hold up the reader."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(HELD_CHUNKS)

        async def receive() -> None:
            data = b"-"
            while data:
                try:
                    data = await self._loop.sock_recv(source, CHUNK)
                except OSError:
                    await self._flowing.wait()  # a half-open connection passes no reset on either
                    raise
                await way.put((self._loop.time() + self._delay, data))

        async def send() -> None:
            while True:
                due, data = await way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._flowing.wait()
                if self._swallowed == direction:
                    continue
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                await self._loop.sock_sendall(target, data)

        async with asyncio.TaskGroup() as both:
            both.create_task(receive())
            both.create_task(send())


def _prepare(end: socket.socket) -> None:
    """Not blocking, not waiting for more bytes, and reset when it is closed without more ado."""
    end.setblocking(False)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
