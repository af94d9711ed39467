"""Promoted models and volumes come in, masks go out while the reader is looking. A restart loses nothing."""
