"""Asks a server's `grpc.health.v1` whether it serves: `health_check.py HOST:PORT`.

It runs beside the server, with its settings. With WAYSTATION_TLS_CERT it believes that very certificate and no
other, whatever its names, and shows it to a server that asks for one. Exit code 0 for SERVING; 1, with a line that
says why, for everything else.
"""

import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def main() -> int:
    address = sys.argv[1]
    try:
        channel = open_channel(address)
    except (OSError, ValueError) as error:
        print(f"{address}: {error}")
        return 1
    with channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=3)
        except grpc.RpcError as error:
            print(f"{address}: {error.code().name}: {error.details()}")
            return 1
    print(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}")
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


def open_channel(address: str) -> grpc.Channel:
    options: list[tuple[str, int | str]] = [("grpc.enable_http_proxy", 0)]
    cert, key = (os.environ.get(f"WAYSTATION_TLS_{name}") for name in ("CERT", "KEY"))
    if not cert or not key:
        return grpc.insecure_channel(address, options=options)
    from cryptography import x509

    chain = Path(cert).read_bytes()
    own = x509.load_pem_x509_certificate(chain)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    credentials = grpc.ssl_channel_credentials(chain, Path(key).read_bytes(), chain)
    name = str(next(iter(names)).value).replace("*", "any")
    options += [("grpc.ssl_target_name_override", name)]
    return grpc.secure_channel(address, credentials, options=options)


if __name__ == "__main__":
    sys.exit(main())
