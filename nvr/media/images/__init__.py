"""Open, check, repair and resize images."""
