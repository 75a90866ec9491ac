"""What a team installs to write handlers and to start workflows.

Needs only the generated contract, the grpcio family and protobuf: must not import any other part
of the house.
"""
