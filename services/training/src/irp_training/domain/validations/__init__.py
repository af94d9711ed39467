"""Reports on a model that can be verified offline."""
