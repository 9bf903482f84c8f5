"""Trash runs: what they delete, how, and how they report it."""
