"""The index of what is to be reviewed."""
