"""Opening, checking, repairing and deriving images."""
