"""Publishing: carrying a compiled tree to the place that phones fetch from.

In the order of the flow: `roots` are those places, `tree` is what is published, `state` what is remembered, `plan` what
would be done and whether it may be, `releases` what is recorded in git, `carry` the doing. `status` looks for drift.
"""
