"""The [kafka] settings as arguments for the Kafka clients.

kafka-python and aiokafka get the same TLS context, built here, so that they trust the same servers and
fail on the same files; aiokafka takes TLS in no other form.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from pydantic import SecretStr

from infra.settings_connections import KafkaSettings
from infra.settings_errors import SettingsError


class _Hidden(str):
    """A secret for a library that logs its arguments, as KafkaAdminClient does at debug level."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def kafka_python_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments for KafkaConsumer, KafkaProducer and KafkaAdminClient; raises as `tls_context`."""
    config: dict[str, Any] = {
        "bootstrap_servers": kafka.servers,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.tls:
        config["ssl_context"] = tls_context(kafka)
    if kafka.sasl:
        config["sasl_mechanism"] = kafka.sasl_mechanism
    if kafka.sasl and kafka.sasl_mechanism == "GSSAPI":
        config["sasl_kerberos_service_name"] = kafka.sasl_kerberos_service_name
        config["sasl_kerberos_domain_name"] = kafka.sasl_kerberos_domain_name
    elif kafka.sasl:
        config["sasl_plain_username"] = kafka.sasl_plain_username
        config["sasl_plain_password"] = _Hidden(_reveal(kafka.sasl_plain_password))
    return config


def aiokafka_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments for AIOKafkaConsumer and AIOKafkaProducer, which share kafka-python's names."""
    return kafka_python_config(kafka)


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """A client's TLS context; SettingsError when a file is missing or is not what it should be."""
    for key in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile"):
        path = getattr(kafka, key)
        if path is not None and not os.access(path, os.R_OK):
            raise SettingsError(f"kafka.{key}: cannot read the file {path!r}; is the path right?")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = kafka.ssl_check_hostname
    step = "ssl_cafile"
    try:
        if kafka.ssl_cafile:
            context.load_verify_locations(kafka.ssl_cafile)
        else:
            context.load_default_certs()
        step = "ssl_crlfile"
        if kafka.ssl_crlfile:
            context.load_verify_locations(kafka.ssl_crlfile)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        step = "ssl_ciphers"
        if kafka.ssl_ciphers:
            context.set_ciphers(kafka.ssl_ciphers)
        step = "ssl_certfile"
        if kafka.ssl_certfile:
            # A function, because OpenSSL asks on the terminal when it is given no password.
            context.load_cert_chain(
                kafka.ssl_certfile, kafka.ssl_keyfile, lambda: _reveal(kafka.ssl_password)
            )
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError(f"kafka.{step}: OpenSSL does not take it ({reason}); {_EXPECTED[step]}") from None
    return context


_EXPECTED = {
    "ssl_cafile": "expected certificates in PEM format",
    "ssl_crlfile": "expected a revocation list in PEM format",
    "ssl_ciphers": "expected names as 'openssl ciphers' prints them, joined by ':'",
    "ssl_certfile": "expected a certificate and its key in PEM format, and ssl_password if the key has one",
}


def _reveal(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
