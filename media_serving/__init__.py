"""Stored media: detections, the events they form, and the files behind them."""
