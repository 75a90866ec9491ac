"""Free loopback ports."""

import random
import socket

# Below the range that the kernel hands to outgoing connections, so that a port found free here is
# not taken by a client before the server has bound it.
_FIRST, _LAST = 20_000, 32_000
_handed_out: set[int] = set()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on; never the same twice in this process.

    Raises RuntimeError when none was found, which means that the machine is out of ports.
    """
    for _ in range(1_000):
        port = random.randrange(_FIRST, _LAST)
        if port in _handed_out:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST} on 127.0.0.1")


def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something answers on that TCP port now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
