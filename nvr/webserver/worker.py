"""gunicorn's threaded worker, hardened against slow clients.

As it comes, a connection takes a thread from its first byte on, its socket waits for ever, and the main loop
lingers up to two seconds over a connection that it closes: a few dozen clients that trickle stop the server.
Here a request gets a thread when its head (and a small body) is there, at most half of the threads read large
bodies, a socket that moves no byte for `NVR_SOCKET_TIMEOUT` is closed, no address holds more than its share of
connections, and the main loop waits for nobody.
"""

from __future__ import annotations

import contextlib
import errno
import math
import selectors
import socket
import time
from collections import deque
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from gunicorn.workers.gthread import TConn, ThreadWorker

from nvr.webserver.error_responses import refusal, status_for
from nvr.webserver.per_address import ConnectionsPerAddress
from nvr.webserver.request_buffer import Arrival
from nvr.webserver.sockets import TimeoutSocket

LINGER_SECONDS = 2.0
SIGN_OF_LIFE_SECONDS = 1.0
HESITATION_SECONDS = 0.0002
MAX_HESITATIONS = 5
READ_BYTES = 64 * 1024
STAY_SECONDS = 0.002
CROWDED_SECONDS = 0.5
HARMLESS = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection(TConn):
    """A connection whose graceful end is left to the worker, so that nobody waits for it."""

    is_large = False
    is_open = True

    def __init__(self, worker: TimeoutWorker, sock: TimeoutSocket, client: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, client, server)
        self.worker = worker
        worker.per_address.opened(client)

    def close(self, graceful: bool = False) -> None:
        if self.is_open:
            self.is_open = False
            self.worker.per_address.closed(self.client)
        if graceful:
            self.worker.linger(self.sock)
        else:
            self.sock.close()


class TimeoutWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit = settings.NVR_SOCKET_TIMEOUT.total_seconds()
        self.per_address = ConnectionsPerAddress(settings.NVR_CONNECTIONS_PER_ADDRESS)
        self.arrivals: set[Arrival] = set()
        self.lingering: deque[tuple[float, TimeoutSocket]] = deque()
        self.large_waiting: deque[Arrival] = deque()
        self.large_running = 0
        self.without_thread: deque[Connection] = deque()
        self.notified = -math.inf
        self.crowded_until = -math.inf

    def notify(self) -> None:
        """The sign of life, once a second: the main loop turns several times a request."""
        now = time.monotonic()
        if now - self.notified >= SIGN_OF_LIFE_SECONDS:
            self.notified = now
            super().notify()

    def give_way(self) -> None:
        """Let a worker with fewer connections be first: else all of a browser's may end in one process.

        All workers wake for a new connection; how long each hesitates tells them apart, a millisecond at most.
        """
        if self.cfg.workers > 1:
            time.sleep(HESITATION_SECONDS * min(self.nr_conns, MAX_HESITATIONS))

    def accept(self, listener: socket.socket) -> None:
        self.give_way()
        try:
            client_sock, client = listener.accept()
        except OSError as error:
            self.not_accepted(error)
            return
        sock = TimeoutSocket.adopt(client_sock, self.limit)
        if self.per_address.is_full(client):
            self.turn_away(sock)
            return
        self.nr_conns += 1
        self.enqueue_req(Connection(self, sock, client, listener.getsockname()))

    def turn_away(self, sock: TimeoutSocket) -> None:
        """Of an address that has its share already: closed at once, so that it costs nothing."""
        with contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.send(refusal(HTTPStatus.SERVICE_UNAVAILABLE))
        sock.close()

    def not_accepted(self, error: OSError) -> None:
        """Without room for one more, let new connections wait in the queue: gunicorn ends, and all it has with it."""
        if error.errno in NO_ROOM:
            self.log.warning("no new connections for now: %s", error.strerror)
            self.crowded_until = time.monotonic() + CROWDED_SECONDS
            self.set_accept_enabled(False)
        elif error.errno not in HARMLESS:
            raise error

    def set_accept_enabled(self, enabled: bool) -> None:
        """gunicorn calls this with each turn of its loop, which is at least once a second."""
        if not enabled or time.monotonic() >= self.crowded_until:
            super().set_accept_enabled(enabled)

    def enqueue_req(self, conn: Connection) -> None:
        """gunicorn calls this for a connection that has, or may have, a request: here it begins to arrive."""
        conn.sock.begin_request()
        conn.init()
        conn.sock.setblocking(False)
        arrival = Arrival(conn, deadline=time.monotonic() + self.limit)
        arrival.add(conn.parser.unreader.take_buffered())
        self.arrivals.add(arrival)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_arriving, arrival))
        self.on_arriving(arrival, conn.sock)

    def on_arriving(self, arrival: Arrival, sock: TimeoutSocket) -> None:
        """Take what is there, without waiting; when it is enough, hand it to a thread."""
        if not arrival.is_complete:
            try:
                data = sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.drop(arrival)
                return
            arrival.add(data)
        if arrival.is_overlong:
            self.drop(arrival, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif arrival.is_complete:
            self.admit(arrival)

    def admit(self, arrival: Arrival) -> None:
        """Leave at least half of the threads to requests that have already arrived."""
        self.poller.unregister(arrival.conn.sock)
        arrival.conn.is_large = arrival.is_large
        if arrival.is_large and self.large_running >= max(1, self.cfg.threads // 2):
            self.large_waiting.append(arrival)
        else:
            self.dispatch(arrival)

    def dispatch(self, arrival: Arrival) -> None:
        self.arrivals.discard(arrival)
        self.large_running += arrival.is_large
        arrival.conn.parser.unreader.unread(bytes(arrival.data))
        arrival.conn.sock.setblocking(True)
        self.without_thread.append(arrival.conn)
        super().enqueue_req(arrival.conn)

    def handle(self, conn: Connection) -> Any:
        """Answer a request, and those that follow it at once: the way through the main loop costs as much as many."""
        self.without_thread.pop()
        keepalive = super().handle(conn)
        while keepalive and self.may_stay(conn) and self.has_followed(conn):
            keepalive = super().handle(conn)
        return keepalive

    def may_stay(self, conn: Connection) -> bool:
        """Whether the thread may wait a moment for the client's next request: nobody else waits for the thread."""
        return self.alive and not self.without_thread and not conn.is_large

    def has_followed(self, conn: Connection) -> bool:
        """Whether the next request came whole within the moment; what came in part is left to the main loop."""
        unreader, sock = conn.parser.unreader, conn.sock
        if unreader.buf.getvalue() or not sock.has_come(STAY_SECONDS):
            return False
        sock.begin_request()
        sock.setblocking(False)
        arrival = Arrival(conn, deadline=math.inf)
        with contextlib.suppress(OSError):  # the main loop finds the same, and closes
            arrival.add(sock.recv(READ_BYTES))
        unreader.unread(bytes(arrival.data))
        return arrival.is_complete and not arrival.is_large

    def handle_request(self, req: Any, conn: Connection) -> bool:
        keepalive: bool = super().handle_request(req, conn)
        conn.sock.flush()
        return keepalive

    def finish_request(self, conn: Connection, fs: Any) -> None:
        if conn.is_large:
            self.large_running -= 1
            conn.is_large = False
            if self.large_waiting:
                self.dispatch(self.large_waiting.popleft())
        super().finish_request(conn, fs)

    def drop(self, arrival: Arrival, status: HTTPStatus | None = None) -> None:
        """Close a connection whose request will not be served, with an answer where one helps."""
        self.arrivals.discard(arrival)
        with contextlib.suppress(KeyError, ValueError):
            self.poller.unregister(arrival.conn.sock)
        self.nr_conns -= 1
        if status:
            with contextlib.suppress(OSError):
                arrival.conn.sock.send(refusal(status))
        arrival.conn.close(graceful=status is not None)

    def linger(self, sock: TimeoutSocket) -> None:
        """Say that no more will come, and close a little later: at once could cut off the answer's end."""
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            sock.close()
        else:
            self.lingering.append((time.monotonic() + LINGER_SECONDS, sock))

    def murder_pending(self) -> None:
        """gunicorn calls this at least once a second: close what has had its time."""
        super().murder_pending()
        now = time.monotonic()
        while self.lingering and (self.lingering[0][0] <= now or not self.alive):
            self.lingering.popleft()[1].close()
        for arrival in [a for a in self.arrivals if a.deadline <= now]:
            self._expire(arrival)

    def _expire(self, arrival: Arrival) -> None:
        if arrival in self.large_waiting:
            self.large_waiting.remove(arrival)
            self.drop(arrival, HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self.drop(arrival, HTTPStatus.REQUEST_TIMEOUT if arrival.data else None)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker is stopping: what has not arrived by `deadline` is not waited for."""
        super()._cap_keepalive(deadline)
        for arrival in self.arrivals:
            arrival.deadline = min(arrival.deadline, deadline)

    def handle_error(self, req: Any, client: TimeoutSocket, addr: Any, exc: Exception) -> None:
        status = status_for(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.exception("error outside of the application")
        else:
            self.log.info("not a request: %s", type(exc).__name__)
        with contextlib.suppress(OSError):
            client.sendall(refusal(status))
            client.flush()
