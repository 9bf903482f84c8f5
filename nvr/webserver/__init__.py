"""gunicorn as we run it: a worker that no slow client can hold, and its configuration."""
