"""Doing it: files carried in an order that breaks no phone, from the intent to the manifest."""
