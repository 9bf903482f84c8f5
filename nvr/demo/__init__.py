"""Cameras for someone without a camera: drawn scenes, written as a real camera would upload them."""
