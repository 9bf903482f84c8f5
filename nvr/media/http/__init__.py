"""Files as HTTP responses: ranges, signed URLs, stream limits."""
