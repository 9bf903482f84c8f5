"""ISO dates and 24-hour times instead of Django's `Nov. 21, 2026, 5:46 a.m.`, which omits the seconds."""

DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "Y-m-d H:i:s"
