"""The registry of cameras, their health and their snapshots."""
