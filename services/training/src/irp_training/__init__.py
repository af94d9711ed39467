"""The training server and the model registry."""
