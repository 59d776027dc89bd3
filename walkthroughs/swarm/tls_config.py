"""What connections over TLS are made with: cli/manage.go of Swarm v1.2.9.

| Go                                    | here                           |
|---------------------------------------|--------------------------------|
| `tls.Config`                          | `TLS`, a context for each end  |
| `tls.LoadX509KeyPair`, `Certificates` | `load_key_pair`                |
| `RootCAs`, `ClientCAs`, `ClientAuth`  | `trust_only`                   |
| `InsecureSkipVerify`                  | `trust_anybody`                |
| `loadTLSConfig`                       | `load_tls`                     |
| `NextProtos`, set in api/server.go    | in `load_tls`                  |
"""

import ssl
from typing import NamedTuple

from walkthroughs.swarm.command import Fatal
from walkthroughs.swarm.world import reason


class TLS(NamedTuple):
    """How to speak where we are called, and where we call; None is in the clear."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None


def unreadable(error: OSError) -> str:
    """Return why a file cannot be used, with its name if it cannot even be read."""
    file = "" if error.filename is None else f"open {error.filename}: "
    return f"{file}{reason(error)}"


def load_key_pair(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Let a context show who we are; raise `Fatal`."""
    try:
        # What OpenSSL raises has no name of a file.
        for path in cert, key:
            open(path, "rb").close()
        # Without any password, OpenSSL would ask the terminal for one.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:
        why = f"Couldn't load X509 key pair ({cert}, {key}): {unreadable(error)}"
        raise Fatal(f"{why}. Key encrypted?") from None


def trust_only(context: ssl.SSLContext, ca: str) -> None:
    """Want a certificate that this authority has signed; raise `Fatal`."""
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        open(ca, "rb").close()
        context.load_verify_locations(ca)
    except OSError as error:
        raise Fatal(f"Couldn't read CA certificate: {unreadable(error)}") from None


def trust_anybody(context: ssl.SSLContext) -> None:
    """Take any certificate, or none, and any name in it."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


def load_tls(ca: str, cert: str, key: str, verify: bool) -> TLS:
    """Return how to speak at both ends; without `verify`, to anybody.

    Raise `Fatal` for files that cannot be used.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.set_alpn_protocols(["http/1.1"])
    for context in server, client:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load_key_pair(context, cert, key)
        if verify:
            trust_only(context, ca)
        else:
            trust_anybody(context)
    return TLS(server, client)
