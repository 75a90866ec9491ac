"""What people and scripts see: text, tables and trees for people, JSON for scripts.

Draws messages of the contract and nothing else. Must not call a server.
"""
