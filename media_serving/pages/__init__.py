"""The pages of events, uploads and a camera's day."""
