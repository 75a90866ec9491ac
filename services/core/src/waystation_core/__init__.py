"""The common library of Waystation's servers: ports, store, broker, rpc, and the domain's providers.

Imports no other package than the rules (`waystation_domain`) and the generated contract (`waystation.v1`).
Inside, imports go one way: store, broker, rpc and decisions use ports, ports use the domain, and those four
never import each other. Only `parts` imports all three, to check what a server depends on before it starts.
"""
