"""Health checks of the installation's dependencies, and heartbeats of its processes."""
