"""Django's SQLite backend, which requires an existing file: only `migrate` and `up` create one."""
