"""What `/api/health` adds for reviewers, with exactly the keys of the API contract. A job is a trash run."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from reviewer.models import RunState
from reviewer.policy import hidden_paths
from reviewer.trash.runs import count_by_state


def details() -> dict[str, Any]:
    runs = count_by_state()
    return {
        "settings": {
            "stateDirectory": str(settings.NVR_DATA_DIR),
            "hiddenPickerPaths": hidden_paths(),
            "deletionWorkers": settings.NVR_DELETION_WORKERS,
        },
        "deletionQueue": {
            "max_workers": settings.NVR_DELETION_WORKERS,
            "active_jobs": runs[RunState.WAITING] + runs[RunState.WORKING],
            "submitted_jobs": sum(runs.values()),
            "completed_jobs": runs[RunState.DONE] + runs[RunState.CANCELLED],
            "failed_jobs": runs[RunState.FAILED],
        },
    }
