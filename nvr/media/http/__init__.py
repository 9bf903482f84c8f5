"""Files as HTTP responses: ranges, signatures, limits on streams."""
