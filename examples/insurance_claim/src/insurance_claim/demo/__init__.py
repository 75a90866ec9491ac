"""Runs every claim file against a Waystation and looks whether each ended as its file says.

`python -m insurance_claim.demo --address HOST:PORT`. A client program: it talks through the SDK's
Client and the generated stubs, and must not import any task.
"""
