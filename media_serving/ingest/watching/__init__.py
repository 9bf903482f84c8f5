"""Watches the cameras' folders: new and changed files, once they are stable."""
