"""In place of Django's `Nov. 21, 2026, 5:46 a.m.`: the seconds matter, and no half of the day has to be guessed."""

DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "Y-m-d H:i:s"
