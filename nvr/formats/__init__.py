"""Default formats of dates and times in templates: exact, and the same for all users."""
