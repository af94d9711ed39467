"""Verbs of annotation, one per file."""
