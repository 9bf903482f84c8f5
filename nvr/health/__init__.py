"""How the installation is: checks of what it depends on, and the heartbeat of its processes."""
