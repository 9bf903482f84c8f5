"""Decode untrusted images in child processes with limits on memory and time.

`pictures` is the interface for other modules; `pool` manages the child processes; `child` is their main program, and
`operations` contains what they can do.
"""
