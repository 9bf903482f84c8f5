"""Django's SQLite backend, on a file that must be there: only preparation makes one."""
