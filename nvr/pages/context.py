"""The context of the page layout."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest


@dataclass(frozen=True)
class Disk:
    """The usage of the disk with the data folder, in bytes."""

    total_bytes: int
    used_bytes: int
    free_bytes: int

    @property
    def percent_used(self) -> int:
        return round(100 * self.used_bytes / self.total_bytes) if self.total_bytes else 0


def disk_usage() -> Disk | None:
    """Return the disk usage; None if it cannot be read, so that the page still opens."""
    try:
        usage = shutil.disk_usage(settings.NVR_DATA_DIR)
    except OSError:
        return None
    return Disk(usage.total, usage.total - usage.free, usage.free)


def disk(request: HttpRequest) -> dict[str, Any]:
    # The function, not its result: templates without the disk bar do not call it.
    return {"disk": disk_usage}
