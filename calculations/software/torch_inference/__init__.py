"""Inference with torch over N ranks."""
