"""Clips of events: requests, footage, rendering and the worker."""
