"""Free ports of the loopback interface."""

import socket

LOOPBACK = "127.0.0.1"
PROBE_S = 0.5


def free_port() -> int:
    """Find a port that nobody listens on now; whoever binds it must be ready to try another."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def in_use(host: str, port: int) -> bool:
    """Whether somebody listens on a port already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise
        except OSError:
            return True
        return False


def answers(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), PROBE_S):
            return True
    except OSError:
        return False
