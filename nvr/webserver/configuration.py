"""gunicorn's settings, for `gunicorn -c python:nvr.webserver.configuration nvr.wsgi`."""

from __future__ import annotations

import gc
import logging
import os
import resource
from pathlib import Path
from typing import Any

from django.conf import settings

from nvr.start import require_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nvr.settings")
os.environ.setdefault("NVR_PROCESS", "web")
require_settings()
logger = logging.getLogger(__name__)

MAX_OPEN_FILES = 65_536

bind = "127.0.0.1:8000"
worker_class = "nvr.webserver.worker.TimeoutWorker"
workers = settings.NVR_WEB_WORKERS
threads = settings.NVR_WEB_THREADS
worker_connections = 1000
backlog = 2048
keepalive = 15  # s; longer than the refresh interval of the live view
timeout = 60  # s without a heartbeat of a worker's main loop, which never waits for clients
graceful_timeout = 8  # s; within the supervisor's limit of 15 s
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# Django decides which proxies to trust (NVR_TRUSTED_PROXIES); gunicorn forwards the headers unchanged.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
# `sendfile` is not set: gunicorn treats any value as "off", even True.
preload_app = True  # load the application once, so that workers share its memory
control_socket_disable = True
proc_name = "nvr"
# The heartbeat file is touched each second. It is in memory, so that a slow disk does not look like a dead worker.
memory = Path("/dev", "shm")
worker_tmp_dir = str(memory if os.access(memory, os.W_OK) else settings.RUN_DIR)
accesslog = None  # Django logs the requests
logger_class = "nvr.webserver.log.ServerLogger"
ours: dict[str, Any] = settings.LOGGING
logconfig_dict: dict[str, Any] = {
    **ours,
    "loggers": {
        **ours["loggers"],
        "gunicorn.error": {"level": "WARNING", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
    },
}


def on_starting(server: Any) -> None:
    """Allow more open files where the machine permits: each kept-alive connection is one."""
    # By default gunicorn removes a unix socket at exit; this one belongs to the supervisor, which restarts gunicorn.
    server.systemd = any(isinstance(address, int) for address in server.cfg.address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    # Half of the limit is left for files that requests open; without a free descriptor a worker cannot start.
    server.cfg.set("worker_connections", min(worker_connections, max(threads + 1, max(soft, limit) // 2)))


def when_ready(server: Any) -> None:
    """Exclude the loaded objects from garbage collection, so that the workers keep sharing their memory."""
    gc.collect()
    gc.freeze()
    # A request creates thousands of objects that reference counting frees: a cycle search every 700 wastes time.
    gc.set_threshold(20_000, 20, 20)
    logger.info("web server ready workers=%s threads=%s", workers, threads)
