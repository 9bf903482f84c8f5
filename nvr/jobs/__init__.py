"""Jobs as database rows: leased by a worker, retried, and abandoned with a reason."""
