"""[kafka] and [redis]: what they take, and that no secret is ever shown."""

# Each entry of the tables is what is written, and the line that comes back.
# ruff: noqa: E501

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from redis import Redis, SSLConnection

from infra.redis_clients import blocking_client
from infra.settings import Connections, RedisSettings, SettingsError, load_connections

SECRET = "hunter2/é?#@%&"


def connect(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> Connections:
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    return load_connections(tmp_path / "x.toml", env=env or {})


def mistake(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        connect(tmp_path, text, env)
    return str(caught.value).replace(str(tmp_path / "x.toml"), "FILE")


@pytest.mark.parametrize(
    ("value", "servers"),
    [
        ('"a:1"', ["a:1"]),
        ('"a:1, b.example:65535"', ["a:1", "b.example:65535"]),
        ('["a:1", "[::1]:2"]', ["a:1", "[::1]:2"]),
        ('"a"', ["a:9092"]),
    ],
)
def test_brokers_are_a_text_or_a_list(tmp_path: Path, value: str, servers: list[str]) -> None:
    kafka = connect(tmp_path, f"[kafka]\nbootstrap_servers = {value}\n").kafka
    assert kafka.servers == servers
    assert kafka.bootstrap_servers == ",".join(servers)


SASL = '[kafka]\nsecurity_protocol = "SASL_SSL"\n'
PLAIN = SASL + 'sasl_mechanism = "PLAIN"\nsasl_plain_username = "u"\n'
MISTAKES = {
    '[kafka]\nbootstrap_servers = "kafka://a:1"': "kafka.bootstrap_servers: expected HOST:PORT, found 'kafka://a:1'",
    '[kafka]\nbootstrap_servers = "a:0"': "kafka.bootstrap_servers: expected HOST:PORT, found 'a:0'",
    '[kafka]\nbootstrap_servers = ["a:1", "b:x"]': "kafka.bootstrap_servers[1]: expected HOST:PORT, found 'b:x'",
    "[kafka]\nbootstrap_servers = []": "kafka.bootstrap_servers: expected at least one HOST:PORT, found an empty list",
    '[kafka]\nsecurity_protocol = "sasl_ssl"': "kafka.security_protocol: expected 'PLAINTEXT', 'SSL', "
    "'SASL_PLAINTEXT' or 'SASL_SSL', found 'sasl_ssl'; did you mean 'SASL_SSL'?",
    '[kafka]\nssl_cafile = "ca.pem"': "kafka.ssl_cafile: used only with 'SSL' or 'SASL_SSL' as security_protocol, "
    "which is 'PLAINTEXT'",
    '[kafka]\nsecurity_protocol = "SSL"\nsasl_plain_username = "u"': "kafka.sasl_plain_username: used only with "
    "'SASL_PLAINTEXT' or 'SASL_SSL' as security_protocol, which is 'SSL'",
    '[kafka]\nsecurity_protocol = "SSL"\nssl_keyfile = "k"': "kafka.ssl_certfile: missing; the key or its password "
    "is given without a certificate",
    '[kafka]\nsecurity_protocol = "SSL"\nssl_check_hostname = "no"': "kafka.ssl_check_hostname: expected true or "
    "false, found 'no'",
    SASL: "kafka.sasl_mechanism: missing; SASL_SSL needs 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512' or 'GSSAPI'",
    SASL
    + 'sasl_mechanism = "OAUTHBEARER"': "kafka.sasl_mechanism: 'OAUTHBEARER' is not supported yet; expected "
    "'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512' or 'GSSAPI'",
    PLAIN: "kafka.sasl_plain_password: missing; sasl_mechanism 'PLAIN' needs it",
    PLAIN
    + 'sasl_kerberos_service_name = "k"': "kafka.sasl_kerberos_service_name: not used with sasl_mechanism "
    "'PLAIN'",
    '[redis]\nurl = "http://h"': "redis.url: expected redis://HOST:PORT/DB, rediss://… for TLS, or unix:///PATH; the "
    "beginning is not 'redis://', 'rediss://' or 'unix://'",
    '[redis]\nurl = "redis:///0"': "redis.url: expected redis://HOST:PORT/DB, rediss://… for TLS, or unix:///PATH; "
    "the host is missing or the port is 0",
    '[redis]\nurl = "redis://h/db"': "redis.url: expected redis://HOST:PORT/DB, rediss://… for TLS, or unix:///PATH; "
    "what follows the host is not a database number",
    '[redis]\nurl = "redis://:a@h"\npassword = "b"': "redis.url: has a password, and redis.password is given too; "
    "keep one of the two",
    '[redis]\nsentinels = ["a:1"]': "redis.sentinel_master: missing; redis.sentinels needs it",
    '[redis]\nsentinel_master = "m"': "redis.sentinels: missing; redis.sentinel_master needs it",
    '[redis]\nsentinels = "a:1,b:0"\nsentinel_master = "m"': "redis.sentinels: expected HOST:PORT, found 'b:0'",
    '[redis]\nsentinels = []\nsentinel_master = "m"': "redis.sentinels: expected at least one HOST:PORT, found an "
    "empty list",
    '[redis]\nurl = "unix:///s"\nsentinels = "a"\nsentinel_master = "m"': "redis.sentinels: used only with "
    "'redis://' or 'rediss://' as redis.url",
    "[redis]\ntimeout = 5": "redis.timeout: expected a duration, a number and a unit in quotes: '500ms', '1s', '5m', "
    "'6h' or '30d', found 5",
    '[redis]\nulr = "redis://h"': "redis.ulr: unknown key; did you mean 'url'?",
    '[redis]\npassword = "a"\npassword_file = "b"': "redis.password_file: redis.password is given as well; keep one "
    "of the two",
    '[redis]\npassword_file = "/nowhere/at/all"': "redis.password_file: cannot be read: No such file or directory",
    "[redis]\npassword_file = 3": "redis.password_file: expected the path of a file",
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    assert mistake(tmp_path, text) == f"FILE: {expected}"


LEAKS = {
    "password": f'[redis]\npassword = ["{SECRET}"]',
    "a whole URL for the table": f'redis = "redis://:{SECRET}@h"',
    "URL in a list": f'[redis]\nurl = ["redis://:{SECRET}@h"]',
    "URL of another scheme": f'[redis]\nurl = "http://:{SECRET}@h"',
    "URL without a scheme": f'[redis]\nurl = "{SECRET}@h:1"',
    "URL with an unescaped password": f'[redis]\nurl = "redis://:{SECRET}@h:1/0"',
    "URL with a password for the port": f'[redis]\nurl = "redis://h:{SECRET}/0"',
    "URL with a password for the database": '[redis]\nurl = "redis://h:1/hunter2"',
    "two passwords": f'[redis]\nurl = "redis://:hunter2@h"\npassword = "{SECRET}"',
    "login without SASL": f'[kafka]\nsasl_plain_password = "{SECRET}"',
    "a misspelt key": f'[kafka]\nsasl_plain_pasword = "{SECRET}"',
    "key password without a key": f'[kafka]\nsecurity_protocol = "SSL"\nssl_password = "{SECRET}"',
    "a table": f'[kafka.sasl_plain_password]\nx = "{SECRET}"',
    "TOML that breaks off": f'[redis]\npassword = "{SECRET}',
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS)
def test_no_error_and_no_traceback_shows_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connect(tmp_path, text)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["KAFKA", "REDIS", "REDIS__URL", "REDIS__PASSWORD", "KAFKA__SSL_PASSWORD"])
@pytest.mark.parametrize("value", ['{"hunter2', '["hunter2"]', '{"url": ["hunter2"]}', "hunter2"])
def test_no_variable_with_a_secret_shows_it(tmp_path: Path, key: str, value: str) -> None:
    try:
        shown = repr(connect(tmp_path, "", {f"GRADSTREAM_{key}": value}))
    except SettingsError as error:
        shown = "".join(traceback.format_exception(error))
    assert "hunter2" not in shown


def test_settings_with_secrets_can_be_printed(tmp_path: Path) -> None:
    text = (
        PLAIN + 'sasl_plain_password = "hunter2"\n[redis]\nurl = "redis://u:hunter2@h:1/0?password=hunter2"\n'
    )
    connections = connect(tmp_path, text)
    assert connections.kafka.sasl_plain_password is not None
    assert connections.kafka.sasl_plain_password.get_secret_value() == "hunter2"
    assert connections.redis.address == "redis://h:1/0"
    for shown in (
        repr(connections),
        str(connections),
        str(connections.model_dump()),
        connections.model_dump_json(),
    ):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    "url", ["redis://h:7/3", "rediss://me@h:7/3", "redis://[::1]:7/3", "unix:///tmp/r.sock?db=3"]
)
def test_redis_py_finds_the_password_that_was_given_apart_from_the_url(tmp_path: Path, url: str) -> None:
    redis = connect(tmp_path, f'[redis]\nurl = "{url}"\npassword = "{SECRET}"\n').redis
    client = Redis.from_url(redis.url.get_secret_value())
    options = client.connection_pool.connection_kwargs
    assert (options["password"], options["db"]) == (SECRET, 3)
    assert options.get("username") == ("me" if "me@" in url else None)
    assert redis.address == url.replace("me@", "").partition("?")[0]


def test_secrets_come_from_files_without_their_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f" {SECRET}\r\n", encoding="utf-8")
    (tmp_path / "url").write_text("redis://h:1/0\n")
    text = PLAIN + f"sasl_plain_password_file = '{tmp_path}/secret'\n[redis]\nurl_file = '{tmp_path}/url'\n"
    connections = connect(tmp_path, text)
    assert connections.kafka.sasl_plain_password is not None
    assert connections.kafka.sasl_plain_password.get_secret_value() == f" {SECRET}"
    assert connections.redis.address == "redis://h:1/0"


def test_a_secret_of_a_stronger_source_replaces_the_file_of_a_weaker_one(tmp_path: Path) -> None:
    (tmp_path / "weak").write_text("weak")
    text = f"[redis]\npassword_file = '{tmp_path}/weak'\n"
    redis = connect(tmp_path, text, {"GRADSTREAM_REDIS__PASSWORD": '{"strong"}'}).redis
    assert redis.password is not None
    assert redis.password.get_secret_value() == '{"strong"}'


def test_an_empty_secret_file_or_one_that_is_not_text_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    assert (
        mistake(tmp_path, f"[redis]\nurl_file = '{tmp_path}/secret'\n")
        == "FILE: redis.url_file: the file is empty"
    )
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    found = mistake(tmp_path, "", {"GRADSTREAM_REDIS__PASSWORD_FILE": f"{tmp_path}/secret"})
    assert found.endswith("redis.password_file: expected the path of a file of UTF-8 text")
    assert found.startswith("GRADSTREAM_REDIS__PASSWORD_FILE: ")


def test_a_bad_url_in_a_file_is_reported_under_the_key_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("http://h")
    found = mistake(tmp_path, f"[redis]\nurl_file = '{tmp_path}/secret'\n")
    assert found.startswith("FILE: redis.url_file: expected redis://HOST:PORT/DB")


@pytest.mark.parametrize("sentinels", ['"a:1, b, [::1]:2"', '["a:1", "b:26379", "[::1]:2"]'])
def test_sentinels_are_a_text_or_a_list_and_stand_for_the_address(tmp_path: Path, sentinels: str) -> None:
    text = f'[redis]\nurl = "redis://u:hunter2@h/3"\nsentinels = {sentinels}\nsentinel_master = "m"\n'
    redis = connect(tmp_path, text).redis
    assert redis.sentinels == ("a:1", "b:26379", "[::1]:2")
    assert redis.address == "master 'm' of the sentinels a:1,b:26379,[::1]:2"
    variables = {"GRADSTREAM_REDIS__SENTINELS": "c", "GRADSTREAM_REDIS__SENTINEL_MASTER": "n"}
    assert connect(tmp_path, text, variables).redis.address == "master 'n' of the sentinels c:26379"


def test_servers_behind_sentinels_get_login_database_and_tls_of_the_url_and_sentinels_only_tls(
    tmp_path: Path,
) -> None:
    text = f'''[redis]
url = "rediss://u@ignored:1/3?ssl_check_hostname=false"
password = "{SECRET}"
sentinels = "a:1,[::1]:2"
sentinel_master = "m"
'''
    with blocking_client(connect(tmp_path, text).redis, 0.5) as client:
        pool = client.connection_pool
        options = pool.connection_kwargs
        assert issubclass(pool.connection_class, SSLConnection)
        assert (options["username"], options["password"], options["db"]) == ("u", SECRET, 3)
        assert "host" not in options
        sentinels = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    assert [(one.connection_kwargs["host"], one.connection_kwargs["port"]) for one in sentinels] == [
        ("a", 1),
        ("::1", 2),
    ]
    for one in sentinels:
        assert issubclass(one.connection_class, SSLConnection)
        assert (one.connection_kwargs["username"], one.connection_kwargs["password"]) == (None, None)
        assert (one.connection_kwargs["db"], one.connection_kwargs["ssl_check_hostname"]) == (0, False)


def test_redis_waits_five_seconds_unless_told_otherwise(tmp_path: Path) -> None:
    assert RedisSettings().timeout == 5.0
    assert connect(tmp_path, '[redis]\ntimeout = "500ms"\n').redis.timeout == 0.5
