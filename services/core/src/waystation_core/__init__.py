"""What Waystation's servers share: domain, ports, store, broker, rpc.

Imports no other part of the house but the generated contract (`waystation.v1`). Inside, arrows
point one way: store, broker and rpc use ports, ports use the domain, and those three never import
each other. `parts` alone looks at all three: at what a server stands on, before it begins.
"""
