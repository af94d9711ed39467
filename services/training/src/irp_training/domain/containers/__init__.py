"""Other people's algorithms as containers that keep the contract of Grand Challenge. Pure: bytes in, bytes out."""
