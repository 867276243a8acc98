"""What the clients `connect` and `bench` have in common."""

from __future__ import annotations

from types import SimpleNamespace

from .. import ConnectionTimeout, TLSOptions, WebSocketError
from .process import Exit

CERTIFICATE_ERRORS = ("WS_ERR_TLS", "WS_ERR_CERTIFICATE")


def tls_of(settings: SimpleNamespace) -> TLSOptions:
    """TLS as --ca, --insecure and, where there are such, --cert and --key say."""
    return TLSOptions(
        cafile=settings.ca,
        certfile=getattr(settings, "cert", None),
        keyfile=getattr(settings, "key", None),
        insecure_no_verify=settings.insecure,
    )


def error_name(error: WebSocketError) -> str:
    """The name that an error has in C: "CONNECT"."""
    return str(error.code).removeprefix("WS_ERR_")


def exit_of(error: WebSocketError) -> Exit:
    """The status for a connection that could not be opened, or was lost."""
    if error.code in CERTIFICATE_ERRORS:
        return Exit.TLS
    if isinstance(error, ConnectionTimeout):
        return Exit.TIMEOUT
    return Exit.FAILED if error.response is None else Exit.REFUSED
