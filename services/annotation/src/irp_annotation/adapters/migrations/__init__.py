"""Versions of the tables of annotation."""
