"""gunicorn's threaded worker, hardened against slow clients.

In gunicorn, a connection takes a thread from its first byte, its socket waits forever, and the main loop waits up
to two seconds when it closes a connection: a few dozen slow clients stop the server. With this worker a request
gets a thread once its head (and a small body) has arrived, at most half of the threads read large bodies, a
socket that transfers no byte for `NVR_SOCKET_TIMEOUT` is closed, the number of connections per address is limited,
and the main loop never blocks. `docs/design/webserver.md` compares it with other servers.
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

from nvr.webserver.error_responses import error_response, status_for
from nvr.webserver.per_address import ConnectionsPerAddress
from nvr.webserver.request_buffer import RequestBuffer
from nvr.webserver.sockets import TimeoutSocket

LINGER_SECONDS = 2.0
HEARTBEAT_SECONDS = 1.0
ACCEPT_DELAY_SECONDS = 0.0002
MAX_ACCEPT_DELAYS = 5
READ_BYTES = 64 * 1024
KEEPALIVE_WAIT_SECONDS = 0.002
ACCEPT_PAUSE_SECONDS = 0.5
IGNORED_ERRORS = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection(TConn):
    """A connection that the worker closes gracefully, without blocking."""

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
        self.receiving: set[RequestBuffer] = set()
        self.lingering: deque[tuple[float, TimeoutSocket]] = deque()
        self.large_waiting: deque[RequestBuffer] = deque()
        self.large_running = 0
        self.without_thread: deque[Connection] = deque()
        self.notified = -math.inf
        self.accept_paused_until = -math.inf

    def notify(self) -> None:
        """Update the heartbeat at most once a second, since the main loop runs several times per request."""
        now = time.monotonic()
        if now - self.notified >= HEARTBEAT_SECONDS:
            self.notified = now
            super().notify()

    def back_off(self) -> None:
        """Let a worker with fewer connections accept first, so that one process does not get all of a browser's.

        All workers wake up for a new connection; each waits longer the more connections it has, at most 1 ms.
        """
        if self.cfg.workers > 1:
            time.sleep(ACCEPT_DELAY_SECONDS * min(self.nr_conns, MAX_ACCEPT_DELAYS))

    def accept(self, listener: socket.socket) -> None:
        self.back_off()
        try:
            client_sock, client = listener.accept()
        except OSError as error:
            self.handle_accept_error(error)
            return
        sock = TimeoutSocket.adopt(client_sock, self.limit)
        if self.per_address.is_full(client):
            self.reject(sock)
            return
        self.nr_conns += 1
        self.enqueue_req(Connection(self, sock, client, listener.getsockname()))

    def reject(self, sock: TimeoutSocket) -> None:
        """Answer 503 and close a connection of an address that is at its limit."""
        with contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.send(error_response(HTTPStatus.SERVICE_UNAVAILABLE))
        sock.close()

    def handle_accept_error(self, error: OSError) -> None:
        """Pause accepting if resources run out, so that new connections queue; gunicorn itself would exit."""
        if error.errno in OUT_OF_RESOURCES:
            self.log.warning("no new connections for now: %s", error.strerror)
            self.accept_paused_until = time.monotonic() + ACCEPT_PAUSE_SECONDS
            self.set_accept_enabled(False)
        elif error.errno not in IGNORED_ERRORS:
            raise error

    def set_accept_enabled(self, enabled: bool) -> None:
        """gunicorn calls this in each iteration of its loop, at least once a second."""
        if not enabled or time.monotonic() >= self.accept_paused_until:
            super().set_accept_enabled(enabled)

    def enqueue_req(self, conn: Connection) -> None:
        """Start receiving a request; gunicorn calls this for a connection that has, or may have, one."""
        conn.sock.begin_request()
        conn.init()
        conn.sock.setblocking(False)
        request = RequestBuffer(conn, deadline=time.monotonic() + self.limit)
        request.add(conn.parser.unreader.take_buffered())
        self.receiving.add(request)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_readable, request))
        self.on_readable(request, conn.sock)

    def on_readable(self, request: RequestBuffer, sock: TimeoutSocket) -> None:
        """Read the available data without blocking; hand the request to a thread once it is complete."""
        if not request.is_complete:
            try:
                data = sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.drop(request)
                return
            request.add(data)
        if request.is_overlong:
            self.drop(request, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif request.is_complete:
            self.admit(request)

    def admit(self, request: RequestBuffer) -> None:
        """Dispatch the request; at most half of the threads read large bodies."""
        self.poller.unregister(request.conn.sock)
        request.conn.is_large = request.is_large
        if request.is_large and self.large_running >= max(1, self.cfg.threads // 2):
            self.large_waiting.append(request)
        else:
            self.dispatch(request)

    def dispatch(self, request: RequestBuffer) -> None:
        self.receiving.discard(request)
        self.large_running += request.is_large
        request.conn.parser.unreader.unread(bytes(request.data))
        request.conn.sock.setblocking(True)
        self.without_thread.append(request.conn)
        super().enqueue_req(request.conn)

    def handle(self, conn: Connection) -> Any:
        """Answer a request and those that directly follow it, since a round through the main loop is expensive."""
        self.without_thread.pop()
        keepalive = super().handle(conn)
        while keepalive and self.may_wait(conn) and self.has_next_request(conn):
            keepalive = super().handle(conn)
        return keepalive

    def may_wait(self, conn: Connection) -> bool:
        """Return whether the thread may wait briefly for the next request: only if no other connection needs it."""
        return self.alive and not self.without_thread and not conn.is_large

    def has_next_request(self, conn: Connection) -> bool:
        """Return whether the next request arrives completely in time; a partial one is left to the main loop."""
        unreader, sock = conn.parser.unreader, conn.sock
        if unreader.buf.getvalue() or not sock.is_readable(KEEPALIVE_WAIT_SECONDS):
            return False
        sock.begin_request()
        sock.setblocking(False)
        request = RequestBuffer(conn, deadline=math.inf)
        with contextlib.suppress(OSError):  # the main loop finds the same, and closes
            request.add(sock.recv(READ_BYTES))
        unreader.unread(bytes(request.data))
        return request.is_complete and not request.is_large

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

    def drop(self, request: RequestBuffer, status: HTTPStatus | None = None) -> None:
        """Close a connection whose request is not served, after sending `status` if given."""
        self.receiving.discard(request)
        with contextlib.suppress(KeyError, ValueError):
            self.poller.unregister(request.conn.sock)
        self.nr_conns -= 1
        if status:
            with contextlib.suppress(OSError):
                request.conn.sock.send(error_response(status))
        request.conn.close(graceful=status is not None)

    def linger(self, sock: TimeoutSocket) -> None:
        """Shut down writing and close later, since closing at once could cut off the end of the response."""
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            sock.close()
        else:
            self.lingering.append((time.monotonic() + LINGER_SECONDS, sock))

    def murder_pending(self) -> None:
        """Close connections past their deadline; gunicorn calls this at least once a second."""
        super().murder_pending()
        now = time.monotonic()
        while self.lingering and (self.lingering[0][0] <= now or not self.alive):
            self.lingering.popleft()[1].close()
        for request in [each for each in self.receiving if each.deadline <= now]:
            self._expire(request)

    def _expire(self, request: RequestBuffer) -> None:
        if request in self.large_waiting:
            self.large_waiting.remove(request)
            self.drop(request, HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self.drop(request, HTTPStatus.REQUEST_TIMEOUT if request.data else None)

    def _cap_keepalive(self, deadline: float) -> None:
        """Limit the deadlines of incomplete requests to `deadline`, since the worker is stopping."""
        super()._cap_keepalive(deadline)
        for request in self.receiving:
            request.deadline = min(request.deadline, deadline)

    def handle_error(self, req: Any, client: TimeoutSocket, addr: Any, exc: Exception) -> None:
        status = status_for(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.exception("error outside of the application")
        else:
            self.log.info("not a request: %s", type(exc).__name__)
        with contextlib.suppress(OSError):
            client.sendall(error_response(status))
            client.flush()
