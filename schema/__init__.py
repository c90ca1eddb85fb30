"""The JSON Schemas: what an inventory may say. Read them with ``importlib.resources.files("offhook.schema")``."""
