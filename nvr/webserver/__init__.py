"""The gunicorn configuration, and a worker that slow clients cannot block."""
