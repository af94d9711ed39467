"""The irp command and the SDK."""
