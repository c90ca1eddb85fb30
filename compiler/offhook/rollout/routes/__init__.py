"""How a NOTIFY reaches a phone: one module a route, each with its settings and one function that opens it."""
