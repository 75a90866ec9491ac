"""Generated bad input at every door of a whole system: `python -m fuzz_input`, or `make fuzz-input`.

Messages are built from the contract's descriptors, so a new field or RPC is covered by itself. Each
input follows from the seed and its number alone. `--only NUMBER` sends one again.
"""
