"""The client of the SSE service's management interface, its wire format, and the stand-in."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from common.errors import PassError
from devservers.checkout import ROOT
from devservers.child_processes import PATIENCE
from devservers.standins.sse import DEFAULT_PAGE_CLIENTS, SERVICE, SseServer, new_client
from testing.passes import GO_ZERO_TIME, HOUR, NOW
from workers.sse import sse_management_pb2 as messages
from workers.sse.sse_management import PAGE_CLIENTS, SseClient, SseManagement
from workers.sse.sse_management_pb2 import ClientInfo

PROTO = "workers/sse/sse_management.proto"
SECONDS = 5.0

# The live service's, by message: field, number, type; "[]" where it is repeated.
FIELDS = {
    "GetClientsRequest": {"limit": (1, "int32"), "offset": (2, "int32")},
    "GetClientsResponse": {"clients": (1, "ClientInfo[]"), "total": (2, "int32")},
    "ClientInfo": {
        "id": (1, "string"),
        "connected_at": (2, "Timestamp"),
        "last_event_at": (3, "Timestamp"),
        "events_received": (4, "int64"),
        "filter": (5, "SubscriptionFilter"),
        "user_agent": (6, "string"),
        "remote_addr": (7, "string"),
    },
    "SubscriptionFilter": {"event_types": (1, "string[]"), "sources": (2, "string[]")},
    "DisconnectClientRequest": {"client_id": (1, "string")},
    "DisconnectClientResponse": {"success": (1, "bool"), "message": (2, "string")},
    "GetStatsRequest": {},
    "GetStatsResponse": {
        "total_clients": (1, "int32"),
        "max_clients": (2, "int32"),
        "total_events_sent": (3, "int64"),
    },
    "GetHealthRequest": {},
    "GetHealthResponse": {
        "healthy": (1, "bool"),
        "message": (2, "string"),
        "connected_clients": (3, "int32"),
    },
}
TYPES = {
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
}


@pytest.fixture
def management(sse: SseServer) -> Iterator[SseManagement]:
    with SseManagement(sse.address, timedelta(seconds=SECONDS)) as management:
        yield management


def call(sse: SseServer, method: str, request: Message) -> Any:
    """One call as any other client would make it."""
    answer = getattr(messages, f"{method}Response")
    with grpc.insecure_channel(sse.address) as channel:
        remote = channel.unary_unary(f"/{SERVICE}/{method}", _serialize, answer.FromString)
        return remote(request, timeout=SECONDS)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def field_type(field: FieldDescriptor) -> str:
    name = field.message_type.name if field.message_type else TYPES[field.type]
    return name + "[]" * field.is_repeated


def test_the_messages_are_those_of_the_live_service() -> None:
    declared = {
        message.name: {field.name: (field.number, field_type(field)) for field in message.fields}
        for message in messages.DESCRIPTOR.message_types_by_name.values()
    }

    assert declared == FIELDS


def test_the_generated_code_is_made_from_the_proto_file(tmp_path: Path) -> None:
    output = tmp_path / "descriptors"
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I."]
    subprocess.run([*protoc, f"--descriptor_set_out={output}", PROTO], cwd=ROOT, check=True)

    [source] = FileDescriptorSet.FromString(output.read_bytes()).file
    for message in source.message_type:
        for field in message.field:
            field.ClearField("json_name")  # protoc adds it here, and leaves it out of Python
    generated = FileDescriptorProto()
    messages.DESCRIPTOR.CopyToProto(generated)
    assert generated == source


def test_every_client_is_read_with_its_times(sse: SseServer, management: SseManagement) -> None:
    sse.connect(
        ClientInfo(id="a", connected_at=NOW - HOUR, last_event_at=NOW, remote_addr="10.0.0.1:1"),
        ClientInfo(id="b", connected_at=NOW, last_event_at=GO_ZERO_TIME),
        ClientInfo(id="c", last_event_at=Timestamp(seconds=2**62)),
        ClientInfo(id="d", connected_at=Timestamp()),
    )

    [page] = management.pages()

    assert page.total == 4
    assert sorted(page.clients, key=lambda client: client.id) == [
        SseClient("a", NOW - HOUR, NOW, "10.0.0.1:1"),
        SseClient("b", NOW, None, ""),
        SseClient("c", None, datetime(9999, 12, 31, tzinfo=UTC), ""),
        SseClient("d", None, None, ""),
    ]


def test_a_client_was_last_active_at_its_last_event_or_when_it_connected() -> None:
    assert SseClient("a", NOW - HOUR, NOW, "").last_active == NOW
    assert SseClient("a", NOW, NOW - HOUR, "").last_active == NOW
    assert SseClient("a", NOW, None, "").last_active == NOW
    assert SseClient("a", None, NOW, "").last_active == NOW
    assert SseClient("a", None, None, "").last_active is None


def test_a_list_in_several_pages_is_asked_for_once_to_its_end(
    sse: SseServer, management: SseManagement
) -> None:
    sse.connect(*(new_client(NOW, idle=HOUR) for _ in range(25)))
    sse.orders.page_clients = 10

    pages = list(management.pages())

    assert [len(page.clients) for page in pages] == [10, 10, 5]
    assert sse.requests == [
        messages.GetClientsRequest(limit=PAGE_CLIENTS, offset=offset) for offset in (0, 10, 20)
    ]


def test_a_list_that_shrinks_while_it_is_read_has_an_end(
    sse: SseServer, management: SseManagement
) -> None:
    sse.connect(*(new_client(NOW, idle=HOUR) for _ in range(20)))
    sse.orders.page_clients = 10
    pages = management.pages()
    next(pages)
    sse.clients.clear()

    assert [len(page.clients) for page in pages] == [0]


def test_an_empty_list_is_one_empty_page(sse: SseServer, management: SseManagement) -> None:
    [page] = management.pages()

    assert (list(page.clients), page.total) == ([], 0)


def test_a_list_over_the_usual_limit_of_grpc_arrives_whole(
    sse: SseServer, management: SseManagement
) -> None:
    sse.connect(*(ClientInfo(id=str(n), user_agent="x" * 2_000) for n in range(5_000)))

    [page] = management.pages()

    assert len(page.clients) == 5_000


def test_the_proxy_of_the_environment_is_not_used(
    sse: SseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with SseManagement(sse.address, timedelta(seconds=SECONDS)) as management:
        assert len(list(management.pages())) == 1


def test_only_failures_to_disconnect_have_a_reason(
    sse: SseServer, management: SseManagement
) -> None:
    sse.connect(*(ClientInfo(id=client_id) for client_id in ("a", "pinned", "silent", "broken")))
    sse.connect(ClientInfo(id="bystander"))
    sse.orders.refused = {"pinned": "connection is pinned", "silent": ""}
    sse.orders.broken = {"broken": grpc.StatusCode.INTERNAL}

    reasons = management.disconnect(["a", "unknown", "", "pinned", "silent", "broken"])

    assert reasons == {
        "": "INVALID_ARGUMENT: client_id is required",
        "pinned": "connection is pinned",
        "silent": "refused without a reason",
        "broken": "INTERNAL: cannot disconnect broken",
    }
    assert set(sse.clients) == {"pinned", "silent", "broken", "bystander"}


def test_every_call_has_a_deadline(sse: SseServer) -> None:
    sse.freeze()
    with SseManagement(sse.address, timedelta(milliseconds=200)) as management:
        with pytest.raises(PassError, match=r"no answer within 0\.2 s \(SSE_GRPC_TIMEOUT\)"):
            next(management.pages())
        assert management.disconnect(["a"]) == {"a": "no answer within 0.2 s (SSE_GRPC_TIMEOUT)"}


def test_a_server_that_is_not_the_sse_service_is_named() -> None:
    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    with (
        SseManagement(f"127.0.0.1:{port}", timedelta(seconds=SECONDS)) as management,
        pytest.raises(PassError, match=rf"127.0.0.1:{port} \(SSE_GRPC_ADDR\).*UNIMPLEMENTED"),
    ):
        next(management.pages())
    other.stop(None)


def test_the_stand_in_lists_fifty_clients_where_no_limit_is_given(sse: SseServer) -> None:
    sse.connect(*(new_client(NOW, idle=HOUR) for _ in range(200)))

    answers = [call(sse, "GetClients", messages.GetClientsRequest()) for _ in range(2)]

    pages = [[client.id for client in answer.clients] for answer in answers]
    assert [len(page) for page in pages] == [DEFAULT_PAGE_CLIENTS] * 2
    assert pages[0] != pages[1], "the order must change from call to call"
    assert answers[0].total == 200


def test_the_stand_in_reports_its_health_and_statistics(sse: SseServer) -> None:
    sse.connect(ClientInfo(id="a", events_received=3), ClientInfo(id="b", events_received=4))

    health = call(sse, "GetHealth", messages.GetHealthRequest())
    stats = call(sse, "GetStats", messages.GetStatsRequest())

    assert (health.healthy, health.connected_clients) == (True, 2)
    assert (stats.total_clients, stats.total_events_sent) == (2, 7)
    assert stats.max_clients >= 10_000


@pytest.mark.servers
def test_the_stand_in_is_a_program() -> None:
    command = [sys.executable, "-m", "devservers.standins.sse", "--clients", "20", "--quiet", "4"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with SseManagement(address, timedelta(seconds=SECONDS)) as management:
            [page] = management.pages()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0

    half_an_hour_ago = datetime.now(UTC) - timedelta(minutes=30)
    times = [client.last_active for client in page.clients]
    assert len(times) == 20
    assert sum(time < half_an_hour_ago for time in times if time is not None) == 4
