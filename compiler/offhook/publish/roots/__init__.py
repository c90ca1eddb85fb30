"""Roots: the places that a tree is carried to, and the state locations beside them.

Begin with `offhook.publish.roots.opening`: an address in, a `Root` or a `State` out. What both promise stands in
`offhook.publish.roots.root`; each kind is a module of its own, and its library is imported when an address names it.
"""
