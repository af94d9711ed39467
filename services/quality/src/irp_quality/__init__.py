"""Image quality at import."""
