"""The test kit: tasks and workflows without a server and without a network.

Must not import any other part of the house, and pytest only in `pytest_plugin`.
"""
