"""The embedded queue: its transport, its disk reserve, its scheduler."""
