"""Demo cameras with drawn scenes, uploaded as real cameras would."""
