"""What is done to a bundle from outside before anybody relies on it."""
