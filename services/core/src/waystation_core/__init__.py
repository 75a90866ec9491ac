"""What Waystation's servers share: ports, store, broker, rpc, and the means for the rules.

Imports no other part of the house but the rules (`waystation_domain`) and the generated contract
(`waystation.v1`). Inside, arrows
point one way: store, broker, rpc and decisions use ports, ports use the domain, and those four never
import each other. `parts` alone looks at all three: at what a server stands on, before it begins.
"""
