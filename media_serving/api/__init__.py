"""The API of detections and events, and of the files behind them."""
