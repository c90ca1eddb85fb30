"""The virtual phone: boots from a provisioning root as a phone does, and tells what a phone would then have.

It reads what phones read and nothing else of offhook: its readers of boot and configuration files share
no code with the compiler's writers, so that it is a second opinion about the tree.
"""
