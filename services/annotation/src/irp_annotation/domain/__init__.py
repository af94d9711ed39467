"""Nouns and rules of annotation: versions, states, contours, formats. Pure."""
