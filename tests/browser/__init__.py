"""The pages, in a real browser, of the service as its users run it.

A package, unlike the other folders of tests: its ``conftest`` stands beside theirs.
"""
