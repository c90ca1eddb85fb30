"""The JSON Schemas: what an inventory may say.

Read them with ``pkgutil.get_data("offhook.schema", NAME)``, which imports less than importlib.resources.
"""
