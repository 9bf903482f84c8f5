"""API keys and permissions. Users and groups are Django's own."""
