"""What detectors and ingest share: the background model, OpenCV on one core, and the frames of videos."""
