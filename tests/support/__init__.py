"""What tests share: private servers as fixtures, the house's processes, waiting with a deadline.

The servers themselves are in `tools/localservers`, because benchmarks and `make up` start the same
ones.
"""
