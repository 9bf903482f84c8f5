"""Log lines: one event each, `key=value`, with the request id and without secrets."""

from __future__ import annotations

import logging
import re
import time
from datetime import timedelta

from celery.beat import SchedulingError
from django.apps import apps
from django.db.utils import OperationalError

from nvr.log_throttle import LogThrottle
from nvr.request_context import current_origin

SECRETS = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://)[^\s/@:\"'<>]*:[^\s\"'<>]*@"
    r"|(?P<bearer>\bBearer\s+)[A-Za-z0-9._~+/=-]+"
    r"|(?P<pair>\b[\w-]*(?:password|passwd|secret|signature|token|api[_-]?key)[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"
    r"|\bnvr_[A-Za-z0-9]{6,}_[A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",  # a JSON web token
    re.IGNORECASE,
)
# Characters that start a new line, control a terminal, or cannot be encoded.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def mask(text: str) -> str:
    """Return `text` with passwords in URLs, bearer tokens, keys and `password=…` pairs replaced by `***`."""
    return SECRETS.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    kept = match["url"] or match["bearer"] or match["pair"] or ""
    return f"{kept}***@" if match["url"] else f"{kept}***"


class LineFormatter(logging.Formatter):
    """`2026-01-01T10:00:00.000Z level=info logger=… request=… message`; always one line, with its traceback."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        request_id = current_origin.get().request_id
        head = f"{self.formatTime(record)} level={record.levelname.lower()} logger={record.name}"
        middle = f" request={request_id}" if request_id else ""
        text = f"{head}{middle} {record.getMessage()}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return UNPRINTABLE.sub(_escaped, mask(text))


class ClientFaults(logging.Filter):
    """Turns client errors (a foreign `Host`, too many fields) into one-line warnings; Django logs them as errors with
    tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", None)
        if record.name.startswith(("django.security.", "django.request")) and status and 400 <= status < 500:
            record.levelno = min(record.levelno, logging.WARNING)
            record.levelname = logging.getLevelName(record.levelno)
            record.exc_info = record.exc_text = None
        return True


def worker_loggers() -> tuple[str, ...]:
    """Prefixes of the loggers that report a task's faults: Celery's own and those of all apps outside `nvr`."""
    ours = (config.name for config in apps.get_app_configs()) if apps.ready else ()
    return ("celery.app.trace", *(f"{name}." for name in ours if not name.startswith(("nvr", "django."))))


class LastingFaults(logging.Filter):
    """Limits database and broker failures, which every task meets, to a line per minute, process and kind of fault."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._throttles = {kind: LogThrottle(timedelta(minutes=1)) for kind in ("database", "broker", "psycopg.pool")}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if record.name.startswith(worker_loggers()) and isinstance(error, OperationalError):
            return self._should_log("database", record, f"the database does not respond, tasks wait: {error}")
        if record.name == "celery.beat" and isinstance(error, SchedulingError):
            return self._should_log("broker", record, f"the broker does not respond, tasks wait: {error}")
        return record.name != "psycopg.pool" or self._throttles["psycopg.pool"].should_log()

    def _should_log(self, kind: str, record: logging.LogRecord, text: str) -> bool:
        record.msg, record.args = "%s", (text.strip(),)
        record.exc_info = record.exc_text = None
        return self._throttles[kind].should_log()


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
