"""What every app's API shares: who asks, how often, in which version, and how errors look."""
