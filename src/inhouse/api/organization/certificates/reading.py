"""Reading a certificate of an authority."""

from __future__ import annotations

import ssl
from typing import Any

from inhouse.kit.errors import InvalidRequest


def validity(pem: str) -> tuple[int, int]:
    """From when to when a certificate is valid, in Unix seconds.

    Args:
        pem: one certificate, of an authority: what the certificates of clients are signed by.

    Raises:
        InvalidRequest: it is something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if not pem.isascii():
            raise ValueError("PEM is ASCII")
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise _invalid("it cannot be read as a certificate in PEM.") from error
    if "PRIVATE KEY" in pem:
        raise _invalid("it holds a private key, which must never leave its owner.")
    if context.cert_store_stats()["x509"] != 1 or pem.count("-----BEGIN ") != 1:
        raise _invalid("upload one certificate at a time.")
    authorities = context.get_ca_certs()
    if not authorities:
        raise _invalid("it is not the certificate of an authority (CA).")
    told: dict[str, Any] = authorities[0]
    try:
        return int(ssl.cert_time_to_seconds(told["notBefore"])), int(ssl.cert_time_to_seconds(told["notAfter"]))
    except (KeyError, ValueError) as error:
        raise _invalid("its dates cannot be read.") from error


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid certificate: {reason}", param="certificate", code="invalid_certificate")
