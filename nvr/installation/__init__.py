"""Preparation before the processes start: a migrated database, static files, an administrator."""
