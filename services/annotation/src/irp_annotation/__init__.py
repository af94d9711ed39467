"""Masks and contours as versioned objects."""
