"""What an environment remembers beside its root: manifest, key, and who publishes."""
