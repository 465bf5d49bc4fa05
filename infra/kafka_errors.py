"""Kafka's failures in one line: the address, what happened, what to check."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kafka import errors as kafka_errors

from models.errors import GradstreamError

PROBE_SECONDS = 3.0

_PLAIN: dict[type[Exception], str] = {
    kafka_errors.MessageSizeTooLargeError: "it is larger than the topic's max.message.bytes",
    kafka_errors.RecordListTooLargeError: "it is larger than the topic's segment.bytes",
}
"""Where the client's own text explains the protocol instead of what happened."""

_HINTS: dict[type[Exception], str] = {
    kafka_errors.TopicAuthorizationFailedError: "give this user the rights on the topic",
    kafka_errors.GroupAuthorizationFailedError: "give this user the rights on the consumer group",
    kafka_errors.ClusterAuthorizationFailedError: "give this user the rights on the cluster",
    kafka_errors.NonEmptyGroupError: "stop its members first",
    kafka_errors.KafkaTimeoutError: "check that the broker is up, and its advertised.listeners",
    kafka_errors.KafkaConnectionError: "check that the broker is up, and its advertised.listeners",
    kafka_errors.NodeNotReadyError: "check that the broker is up, and its advertised.listeners",
    kafka_errors.RequestTimedOutError: "check that the broker is up, and its advertised.listeners",
    kafka_errors.PolicyViolationError: "ask who runs the cluster",
}


class KafkaUnavailable(GradstreamError):
    """Kafka did not answer, or refused."""


def reason(error: Exception) -> str:
    """What a client's error says, in one line, with what to check where that is known."""
    if type(error) in _PLAIN:
        return _PLAIN[type(error)]
    text = " ".join(str(error.args[0]).split()) if error.args and error.args[0] else ""
    if not text or "failed with response" in text:  # the text of requests and responses says nothing to users
        text = str(getattr(error, "description", None) or type(error).__name__)
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
    text = text.rstrip(". ")
    return f"{text}; {hint}" if hint else text


def unreachable(servers: Sequence[str], error: Exception, protocol: str) -> KafkaUnavailable:
    """Why no broker could be reached: the clients only say that they gave up, so each is knocked at once."""
    address = ",".join(servers)
    check = "check kafka.bootstrap_servers, and that the broker is up"
    if not isinstance(error, (kafka_errors.KafkaTimeoutError, kafka_errors.KafkaConnectionError)):
        return KafkaUnavailable(f"Kafka at {address}: {reason(error)}; check the [kafka] settings")
    found = knock(servers[0])
    if found is None:
        found = f"it takes connections but does not answer as a Kafka broker with {protocol}"
        check = (
            "check kafka.bootstrap_servers, and kafka.security_protocol and sasl_* if it wants TLS or a login"
        )
    return KafkaUnavailable(f"Kafka at {address}: {found}; {check}")


def knock(server: str) -> str | None:
    """What goes wrong when a connection to `host:port` is opened; None when nothing does."""
    host, _, port = server.rpartition(":") if ":" in server else (server, "", "9092")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()
    except socket.gaierror:
        return f"host {host} is not known"
    except ConnectionRefusedError:
        return "connection refused"
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:.0f} s"
    except (OSError, ValueError, OverflowError) as error:
        return " ".join(str(error).split())
    return None
