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
keepalive = 15  # s; longer than the wall's pause between two pictures
timeout = 60  # s without a sign of life of a worker's main loop, which never waits for clients
graceful_timeout = 8  # s, so that all ends within the supervisor's 15
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# Django decides whom to believe (NVR_TRUSTED_PROXIES); gunicorn passes on what came.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
# `sendfile` is not set: gunicorn takes any value for "off", True as well.
preload_app = True  # one start-up for all workers, and their memory shared
control_socket_disable = True
proc_name = "nvr"
# The sign of life is a file touched each second: in memory, so that a slow disk is no dead worker.
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
    # gunicorn removes a unix socket when it ends, unless others made it: the supervisor did, and starts it again.
    server.systemd = any(isinstance(address, int) for address in server.cfg.address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    # Half is left to what the requests open: without room for a file a worker cannot even start.
    server.cfg.set("worker_connections", min(worker_connections, max(threads + 1, max(soft, wanted) // 2)))


def when_ready(server: Any) -> None:
    """Keep what is loaded by now out of garbage collection, so that the workers go on sharing its memory."""
    gc.collect()
    gc.freeze()
    # A request makes some thousand objects that reference counting frees: looking for cycles every 700 is waste.
    gc.set_threshold(20_000, 20, 20)
    logger.info("web server ready workers=%s threads=%s", workers, threads)
