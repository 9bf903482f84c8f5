"""Ours beside the plain technique, in one run, on one machine. Trust the ratios, not the milliseconds."""
