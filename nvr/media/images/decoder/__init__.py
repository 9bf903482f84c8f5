"""Pictures from outside are decoded in child processes, which may use so much memory and time and no more.

`pictures` is what others call; `pool` keeps the children; `child` is what runs in one, and `operations` what it can do.
"""
