"""What must be in place before the parts start: a migrated database, static files, an administrator."""
