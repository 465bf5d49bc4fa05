"""The tables [kafka] and [redis]: how the servers are reached."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from infra.settings_errors import Table, mistake, one_of, shown
from infra.settings_values import boolean, choice, duration, each, secret, text

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"]
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI")
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)
_SCHEMES = ("redis", "rediss", "unix")
_Path = Annotated[str | None, BeforeValidator(text("the path of a file"))]


def _server(value: object, port: int) -> str:
    match = _SERVER.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[2] or port) < 65536:
        raise mistake(f"expected HOST:PORT, found {shown(value)}")
    return f"{match[1]}:{match[2] or port}"


def _servers(value: object, port: int) -> tuple[str, ...]:
    """The servers of a text or a list, each as HOST:PORT; `port` where none is given."""
    if isinstance(value, str):
        return tuple(_server(part.strip(), port) for part in value.split(","))
    servers = each(partial(_server, port=port), value, "HOST:PORT")
    if not servers:
        raise mistake("expected at least one HOST:PORT, found an empty list")
    return tuple(servers)


def _brokers(value: object) -> str:
    return ",".join(_servers(value, 9092))


class KafkaSettings(Table):
    """[kafka], named as kafka-python's arguments."""

    also_allowed: ClassVar[tuple[str, ...]] = ("sasl_plain_password_file", "ssl_password_file")

    bootstrap_servers: Annotated[str, BeforeValidator(_brokers)] = "localhost:9092"
    """One or more HOST:PORT, joined by commas."""
    security_protocol: Annotated[SecurityProtocol, BeforeValidator(choice(*_PROTOCOLS))] = "PLAINTEXT"
    ssl_check_hostname: Annotated[bool, BeforeValidator(boolean)] = True
    ssl_cafile: _Path = None
    ssl_certfile: _Path = None
    ssl_keyfile: _Path = None
    ssl_password: Annotated[SecretStr | None, BeforeValidator(secret("the key's password"))] = None
    ssl_crlfile: _Path = None
    ssl_ciphers: Annotated[str | None, BeforeValidator(text("OpenSSL cipher names"))] = None
    sasl_mechanism: Annotated[
        Mechanism | None, BeforeValidator(choice(*_MECHANISMS, later=("OAUTHBEARER", "AWS_MSK_IAM")))
    ] = None
    sasl_plain_username: Annotated[str | None, BeforeValidator(text("a user name"))] = None
    sasl_plain_password: Annotated[SecretStr | None, BeforeValidator(secret("a password"))] = None
    sasl_kerberos_service_name: Annotated[str, BeforeValidator(text("a service name"))] = "kafka"
    sasl_kerberos_domain_name: Annotated[str | None, BeforeValidator(text("a domain name"))] = None

    @property
    def servers(self) -> list[str]:
        """The bootstrap servers one by one."""
        return self.bootstrap_servers.split(",")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Whether clients authenticate by SASL."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @model_validator(mode="after")
    def _fits_the_protocol(self) -> KafkaSettings:
        # A key without effect here would mean: no encryption or no login where one was meant.
        for prefix, used, protocols in (
            ("ssl_", self.tls, ("SSL", "SASL_SSL")),
            ("sasl_", self.sasl, ("SASL_PLAINTEXT", "SASL_SSL")),
        ):
            for key in self._given(prefix):
                if not used:
                    here = f"security_protocol, which is '{self.security_protocol}'"
                    raise mistake(f"used only with {one_of(protocols)} as {here}", key)
        if (self.ssl_keyfile or self.ssl_password) and not self.ssl_certfile:
            raise mistake("missing; the key or its password is given without a certificate", "ssl_certfile")
        if self.sasl:
            self._check_mechanism()
        return self

    def _check_mechanism(self) -> None:
        if self.sasl_mechanism is None:
            raise mistake(f"missing; {self.security_protocol} needs {one_of(_MECHANISMS)}", "sasl_mechanism")
        kerberos = self.sasl_mechanism == "GSSAPI"
        for key in self._given("sasl_plain_" if kerberos else "sasl_kerberos_"):
            raise mistake(f"not used with sasl_mechanism '{self.sasl_mechanism}'", key)
        for key in () if kerberos else ("sasl_plain_username", "sasl_plain_password"):
            if getattr(self, key) is None:
                raise mistake(f"missing; sasl_mechanism '{self.sasl_mechanism}' needs it", key)

    def _given(self, prefix: str) -> list[str]:
        return [
            key for key in type(self).model_fields if key in self.model_fields_set and key.startswith(prefix)
        ]


class RedisSettings(Table):
    """[redis]. After reading, `url` holds the password also when it came apart from the URL.

    Where the Sentinels say which server it is, `url` gives user, password, database and TLS alone.
    """

    also_allowed: ClassVar[tuple[str, ...]] = ("url_file", "password_file")

    password: Annotated[SecretStr | None, BeforeValidator(secret("a password"))] = None
    url: Annotated[SecretStr, BeforeValidator(secret("a URL"))] = Field(
        default=SecretStr("redis://localhost:6379/0"), validate_default=True
    )
    timeout: Annotated[float, BeforeValidator(duration("10ms", "5m"))] = 5.0
    """Seconds to wait for a connection, and for each answer."""
    sentinels: Annotated[tuple[str, ...], BeforeValidator(partial(_servers, port=26379))] = ()
    """HOST:PORT of each Sentinel to ask for the server; the host of `url` then counts for nothing."""
    sentinel_master: Annotated[str | None, BeforeValidator(text("the Sentinels' name of the master"))] = None

    @field_validator("url")
    @classmethod
    def _complete(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        parts = _redis_url(url.get_secret_value())
        password: SecretStr | None = info.data.get("password")
        if password is None:
            return url
        if parts.password is not None:
            raise mistake("has a password, and redis.password is given too; keep one of the two")
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{parts.username or ''}:{quote(password.get_secret_value(), safe='')}@{host}"
        return SecretStr(urlunsplit(parts._replace(netloc=netloc)))

    @model_validator(mode="after")
    def _sentinels_know_a_master(self) -> RedisSettings:
        for given, missing in (("sentinels", "sentinel_master"), ("sentinel_master", "sentinels")):
            if getattr(self, given) and not getattr(self, missing):
                raise mistake(f"missing; redis.{given} needs it", missing)
        if self.sentinels and self.url.get_secret_value().startswith("unix:"):
            raise mistake("used only with 'redis://' or 'rediss://' as redis.url", "sentinels")
        return self

    @property
    def address(self) -> str:
        """The URL without user, password and query, or the Sentinels: fit for logs and messages."""
        if self.sentinels:
            return f"master '{self.sentinel_master}' of the sentinels {','.join(self.sentinels)}"
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def address_keys(self) -> str:
        """The keys to check when nothing answers at `address`."""
        return "redis.sentinels and redis.sentinel_master" if self.sentinels else "redis.url"


def _redis_url(url: str) -> Any:
    """Split and check; no message repeats the URL, because any part of a broken one may be its password."""
    expected = "expected redis://HOST:PORT/DB, rediss://… for TLS, or unix:///PATH"
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme not in _SCHEMES:
        raise mistake(f"{expected}; the beginning is not {one_of(f'{name}://' for name in _SCHEMES)}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise mistake(f"{expected}; the host or the port cannot be read") from None
    if not url.isprintable() or " " in url:
        raise mistake(f"{expected}; it contains a space or a control character")
    if parts.fragment:
        raise mistake(f"{expected}; a '#' in the password is written %23")
    if scheme == "unix":
        if not parts.path:
            raise mistake(f"{expected}; the path is missing")
    elif not parts.hostname or port == 0:
        raise mistake(f"{expected}; the host is missing or the port is 0")
    elif not re.fullmatch(r"(/\d{0,5})?", parts.path, re.ASCII):
        raise mistake(f"{expected}; what follows the host is not a database number")
    return parts
