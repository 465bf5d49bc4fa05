"""The [kafka] settings become arguments that the installed clients take."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from infra.kafka_clients import aiokafka_config, kafka_python_config, tls_context
from infra.settings import KafkaSettings, SettingsError

LOGIN = {"sasl_plain_username": "me", "sasl_plain_password": "hunter2"}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "TLS": {"security_protocol": "SSL"},
    "PLAIN": {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", **LOGIN},
    "SCRAM over TLS": {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", **LOGIN},
    "Kerberos": {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "GSSAPI",
        "sasl_kerberos_service_name": "broker",
        "sasl_kerberos_domain_name": "example.org",
    },
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem, its key.pem under the password `hunter2`, and plain.pem without one."""
    folder = tmp_path_factory.mktemp("tls")
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=localhost", "-days", "2"]
    encrypted = [*new, "-keyout", "key.pem", "-out", "cert.pem", "-passout", "pass:hunter2"]
    subprocess.run(encrypted, cwd=folder, check=True, capture_output=True)
    decrypt = ["openssl", "rsa", "-in", "key.pem", "-passin", "pass:hunter2", "-out", "plain.pem"]
    subprocess.run(decrypt, cwd=folder, check=True, capture_output=True)
    return folder


def test_without_security_only_the_brokers_are_passed() -> None:
    kafka = KafkaSettings(bootstrap_servers="a:1,b:2")
    expected = {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    assert kafka_python_config(kafka) == aiokafka_config(kafka) == expected


def test_a_login_is_passed_under_the_clients_names() -> None:
    config = kafka_python_config(KafkaSettings(**SETTINGS["SCRAM over TLS"]))
    assert config.pop("ssl_context").verify_mode is ssl.CERT_REQUIRED
    assert config == {
        "bootstrap_servers": ["localhost:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        **LOGIN,
    }


def test_kerberos_has_no_password() -> None:
    config = aiokafka_config(KafkaSettings(**SETTINGS["Kerberos"]))
    assert {key: value for key, value in config.items() if key.startswith("sasl_")} == {
        "sasl_mechanism": "GSSAPI",
        "sasl_kerberos_service_name": "broker",
        "sasl_kerberos_domain_name": "example.org",
    }


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_every_installed_client_knows_every_argument(values: dict[str, Any]) -> None:
    kafka = KafkaSettings(**values)
    for client in (KafkaConsumer, KafkaProducer, KafkaAdminClient):
        assert kafka_python_config(kafka).keys() <= client.DEFAULT_CONFIG.keys()
    for client in (AIOKafkaConsumer, AIOKafkaProducer):
        assert aiokafka_config(kafka).keys() <= inspect.signature(client).parameters.keys()


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_aiokafkas_own_checks_of_tls_and_login_pass(values: dict[str, Any]) -> None:
    async def build() -> AIOKafkaClient:
        return AIOKafkaClient(**aiokafka_config(KafkaSettings(**values)))  # connects nowhere yet

    assert asyncio.run(build())


def test_a_library_that_logs_its_arguments_does_not_log_the_password() -> None:
    for config in (kafka_python_config, aiokafka_config):
        arguments = config(KafkaSettings(**SETTINGS["PLAIN"]))
        assert arguments["sasl_plain_password"].encode() == b"hunter2"
        # KafkaAdminClient does this at debug level.
        assert "hunter2" not in "Starting with configuration: %s" % arguments  # noqa: UP031


def test_tls_checks_servers_unless_told_otherwise(certificate: Path) -> None:
    strict = tls_context(KafkaSettings(security_protocol="SSL"))
    assert (strict.check_hostname, strict.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert strict.minimum_version == ssl.TLSVersion.TLSv1_2
    loose = tls_context(
        KafkaSettings(
            security_protocol="SSL", ssl_check_hostname=False, ssl_cafile=str(certificate / "cert.pem")
        )
    )
    assert (loose.check_hostname, loose.verify_mode) == (False, ssl.CERT_REQUIRED)
    assert [dict(one["subject"][0])["commonName"] for one in loose.get_ca_certs()] == ["localhost"]


def test_a_client_certificate_needs_its_key_and_the_keys_password(certificate: Path) -> None:
    def context(**more: Any) -> ssl.SSLContext:
        return tls_context(
            KafkaSettings(security_protocol="SSL", ssl_certfile=str(certificate / "cert.pem"), **more)
        )

    assert context(ssl_keyfile=str(certificate / "plain.pem"))
    assert context(ssl_keyfile=str(certificate / "key.pem"), ssl_password="hunter2")
    for more in ({}, {"ssl_keyfile": str(certificate / "key.pem")}):
        with pytest.raises(SettingsError, match=r"kafka\.ssl_certfile: OpenSSL does not take it"):
            context(**more)
    with pytest.raises(SettingsError, match=r"kafka\.ssl_certfile: OpenSSL does not take it") as caught:
        context(ssl_keyfile=str(certificate / "key.pem"), ssl_password="hunter3")
    assert "hunter3" not in str(caught.value)


@pytest.mark.parametrize("key", ["ssl_cafile", "ssl_certfile", "ssl_crlfile"])
def test_a_file_that_is_missing_or_wrong_is_named(key: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    kafka = KafkaSettings(security_protocol="SSL", **{key: str(path)})
    with pytest.raises(SettingsError, match=rf"kafka\.{key}: cannot read the file '.*x\.pem'"):
        tls_context(kafka)
    path.write_text("no certificate")
    with pytest.raises(SettingsError, match=rf"kafka\.{key}: OpenSSL does not take it \(.*\); expected"):
        tls_context(kafka)


def test_ciphers_are_openssls() -> None:
    context = tls_context(KafkaSettings(security_protocol="SSL", ssl_ciphers="ECDHE+AESGCM"))
    assert all("GCM" in one["name"] for one in context.get_ciphers() if one["protocol"] == "TLSv1.2")
    with pytest.raises(SettingsError, match=r"kafka\.ssl_ciphers: OpenSSL does not take it"):
        tls_context(KafkaSettings(security_protocol="SSL", ssl_ciphers="none-such"))
