"""API keys, and who may see what. Users and groups are Django's own."""
