"""Accepts connections on 127.0.0.1 and gives each a thread, so that whatever blocks in one holds up no other."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from deadstop.testing.http_connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

_BACKLOG = 1024


class HttpListener:
    """Listens from the moment it is made until `stop()`. `serve(connection)` runs in the connection's own thread."""

    def __init__(self, serve: Callable[[Connection], None], *, port: int) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.stopping = threading.Event()
        self._pid = os.getpid()
        # A byte wakes the acceptor. Closing our end would not, while a forked child holds a copy of it.
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._open: dict[Connection, threading.Thread] = {}
        self._ended: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name=f"model-server-{self.port}", daemon=True)
        self._acceptor.start()

    def stop(self, timeout: float) -> None:
        """End every connection, whatever it waits for, and join all threads.

        Raises TimeoutError when one still runs after `timeout` seconds: code of the caller's own that blocks. In a
        forked child it does nothing: the threads are the parent's, and so are the connections.
        """
        if os.getpid() != self._pid:
            return
        self.stopping.set()
        self._wake.send(b"\0")
        self._acceptor.join()
        self._wake.close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else a forked child's copy would go on queueing clients
        self._listener.close()
        self._woken.close()
        with self._lock:  # an owner closes its socket only after it has left _open
            for connection in self._open:
                connection.shutdown()
            threads = [*self._open.values(), *self._ended]
        self._join(threads, timeout)

    def _join(self, threads: list[threading.Thread], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        others = [thread for thread in threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in others if thread.is_alive()]
        if stuck:
            raise TimeoutError(f"a script or an on_request hook still runs after {timeout} s, in {', '.join(stuck)}")

    def _accept(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while not self.stopping.is_set():
            poll.poll()
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                continue
            except OSError:
                self.stopping.wait(0.01)  # out of file descriptors: the queue keeps the client
                continue
            self._give_thread(Connection(sock))

    def _give_thread(self, connection: Connection) -> None:
        name = f"{self._acceptor.name}-connection"
        thread = threading.Thread(target=self._run, args=(connection,), name=name, daemon=True)
        with self._lock:
            self._open[connection] = thread
            ended, self._ended = self._ended, []
        for old in ended:
            old.join()
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            self._serve(connection)
        finally:
            with self._lock:
                self._ended.append(self._open.pop(connection))
            connection.close()
