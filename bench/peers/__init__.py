"""Peers under the same load: `python -m bench.peers` measures Waystation and a peer in turns.

What belongs to a peer (its handlers, its load client) runs in an environment of its own and imports nothing of
Waystation.
"""
