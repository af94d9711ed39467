"""Doors of annotation: rows, facts, RPCs."""
