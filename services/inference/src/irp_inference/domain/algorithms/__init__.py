"""Conventional methods by name: an image slice and what a reader marked in, a region out. Pure arithmetic."""
