"""The requests of one connection, each answered with its turn: parse, log, ask the script, deliver."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from deadstop.testing import openai_responses, openai_wire
from deadstop.testing.http_connection import BadHttp, ClientGone, Connection, ConnectionEnded, Head
from deadstop.testing.model_script import ModelRequest, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadstop.testing.request_log import Journal, RequestLog


class _Endpoint(NamedTuple):
    """How one path words a turn. `events` is None where nothing streams, `needs` is the field it cannot do without."""

    body: Callable[[ModelRequest, Turn], dict[str, Any]]
    events: Callable[[ModelRequest, Turn], Iterator[openai_wire.WireEvent]] | None
    needs: str | None


_ENDPOINTS = {
    "/v1/chat/completions": _Endpoint(openai_wire.chat_body, openai_wire.chat_events, "messages"),
    "/v1/responses": _Endpoint(openai_responses.response_body, openai_responses.response_events, None),
    "/v1/completions": _Endpoint(openai_wire.completion_body, openai_wire.completion_events, None),
    "/v1/embeddings": _Endpoint(openai_wire.embedding_body, None, "input"),
}
_MODELS = "/v1/models"
_JSON = "application/json"
_STREAM_END = b"0\r\n\r\n"


class ModelApi:
    """Serves connections: `serve` runs in each connection's thread.

    `arrived(entry)` is called for every request before its answer, `failed(error)` when that, the script or the wording
    of an answer raised.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        turn_for: Callable[[ModelRequest], Turn],
        models: tuple[str, ...],
        arrived: Callable[[RequestLog], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._journal = journal
        self._turn_for = turn_for
        self._models = models
        self._arrived = arrived
        self._failed = failed

    def serve(self, connection: Connection) -> None:
        """Answer request after request, until either side ends the connection."""
        try:
            while self._exchange(connection):
                pass
        except ConnectionEnded:
            pass
        except BadHttp as problem:
            _send_bad_http(connection, problem)

    def _exchange(self, connection: Connection) -> bool:
        """One request and its answer; whether the connection can take another."""
        head = connection.read_head()
        try:
            body, problem = self._parse(head, connection.read_body(head))
        except ClientGone:
            self._journal.lost(self._journal.open(head, {}, takes_turn=False))
            raise
        except BadHttp:
            self._journal.finish(self._journal.open(head, {}, takes_turn=False), status=400)
            raise
        entry = self._journal.open(head, body, takes_turn=problem is None and head.path in _ENDPOINTS)
        try:
            return self._guarded(connection, entry, problem) and head.keep_alive
        except ClientGone:
            self._journal.lost(entry)
            raise

    def _guarded(self, connection: Connection, entry: RequestLog, problem: Turn | None) -> bool:
        try:
            self._arrived(entry)
            return self._answer(connection, entry, problem)
        except ConnectionEnded:
            raise
        except (
            Exception
        ) as failure:  # the script's, the hook's or our own: the test has to see it, the client gets a 500
            self._failed(failure)
            if entry.status is not None:
                return False
            return self._send_error(connection, entry, _error(500, f"the script raised {failure!r}"))

    def _parse(self, head: Head, raw: bytes) -> tuple[dict[str, Any], Turn | None]:
        """The body, and the error to answer with if the request is a bad one."""
        problem = self._unknown(head)
        if problem is not None or head.method == "GET":
            return {}, problem
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            return {}, _error(400, f"We could not parse the JSON body of your request: {error}")
        if not isinstance(body, dict):
            return {}, _error(400, "The JSON body of your request must be an object")
        return body, _missing(body, _ENDPOINTS[head.path].needs)

    def _unknown(self, head: Head) -> Turn | None:
        is_model = head.path.startswith(_MODELS + "/")
        if head.path not in _ENDPOINTS and head.path != _MODELS and not is_model:
            return _error(404, f"Invalid URL ({head.method} {head.path})")
        if head.method != ("POST" if head.path in _ENDPOINTS else "GET"):
            return _error(405, f"Not allowed to {head.method} on {head.path}")
        if is_model and head.path[len(_MODELS) + 1 :] not in self._models:
            return _error(404, f"The model {head.path[len(_MODELS) + 1 :]!r} does not exist")
        return None

    def _answer(self, connection: Connection, entry: RequestLog, problem: Turn | None) -> bool:
        if problem is not None:
            return self._send_error(connection, entry, problem)
        if entry.turn is None:
            return self._send_json(connection, entry, Turn(), self._models_body(entry.path))
        request = _request(entry, entry.turn)
        turn = self._turn_for(request)
        if not isinstance(turn, Turn):
            raise TypeError(f"the script returned {turn!r}, not a Turn")
        connection.wait(None if turn.accept_only else turn.delay)
        if turn.status != 200:
            return self._send_error(connection, entry, turn)
        endpoint = _ENDPOINTS[entry.path]
        if entry.stream and endpoint.events is not None:
            return self._stream(connection, entry, turn, endpoint.events(request, turn))
        return self._send_json(connection, entry, turn, endpoint.body(request, turn))

    def _models_body(self, path: str) -> dict[str, Any]:
        if path == _MODELS:
            return {"object": "list", "data": [openai_wire.model_body(name) for name in self._models]}
        return openai_wire.model_body(path[len(_MODELS) + 1 :])

    def _send_error(self, connection: Connection, entry: RequestLog, turn: Turn) -> bool:
        message = turn.error_message or _phrase(turn.status)
        return self._send_json(connection, entry, turn, openai_wire.error_body(turn.status, message))

    def _send_json(self, connection: Connection, entry: RequestLog, turn: Turn, body: dict[str, Any]) -> bool:
        data = openai_wire.encode(body)
        head = _head(entry, turn, _JSON, f"content-length: {len(data)}")
        if turn.cut is not None:
            self._journal.begin(entry, status=turn.status)
            connection.send(head)
            return self._cut(connection, entry, turn)
        self._journal.finish(entry, status=turn.status)
        connection.send(head + data)
        return True

    def _stream(
        self, connection: Connection, entry: RequestLog, turn: Turn, events: Iterator[openai_wire.WireEvent]
    ) -> bool:
        """Each event is its own HTTP chunk and its own write, so that a cut falls exactly where the script says."""
        self._journal.begin(entry, status=turn.status)
        connection.send(_head(entry, turn, "text/event-stream; charset=utf-8", "transfer-encoding: chunked"))
        sent = 0
        for event in events:
            if sent == turn.cut and event.stage != "opening":
                return self._cut(connection, entry, turn)
            if event.stage == "piece":
                connection.wait(turn.chunk_delay if sent else 0.0)
                self._journal.chunk(entry)
                sent += 1
            data = b"%x\r\n%b\r\n" % (len(event.data), event.data)
            if event.stage == "closing":  # SDKs stop reading here, so the end of the body must come with it
                self._journal.finish(entry, status=turn.status)
                data += _STREAM_END
            connection.send(data)
        return True

    def _cut(self, connection: Connection, entry: RequestLog, turn: Turn) -> bool:
        if turn.silent_after is not None:
            connection.wait(None)
        self._journal.finish(entry, status=turn.status)
        return False


def _error(status: int, message: str) -> Turn:
    return Turn(status=status, error_message=message)


def _missing(body: dict[str, Any], needs: str | None) -> Turn | None:
    if not isinstance(body.get("model"), str):
        return _error(400, "you must provide a model parameter")
    if needs is not None and needs not in body:
        return _error(400, f"Missing required parameter: {needs!r}.")
    return None


def _request(entry: RequestLog, turn: int) -> ModelRequest:
    return ModelRequest(
        id=entry.id,
        index=entry.index,
        turn=turn,
        path=entry.path,
        body=entry.body,
        headers=entry.headers,
        arrived=entry.arrived,
    )


def _head(entry: RequestLog, turn: Turn, content_type: str, framing: str) -> bytes:
    lines = [
        f"HTTP/1.1 {turn.status} {_phrase(turn.status)}",
        f"content-type: {content_type}",
        framing,
        f"x-request-id: req_{entry.id}",
    ]
    if entry.headers.get("connection", "").lower() == "close":
        lines.append("connection: close")
    lines += [f"{name}: {value}" for name, value in turn.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 529 and other inventions of providers
        return "Error"


def _send_bad_http(connection: Connection, problem: BadHttp) -> None:
    data = openai_wire.encode(openai_wire.error_body(400, str(problem)))
    head = (
        f"HTTP/1.1 400 Bad Request\r\ncontent-type: {_JSON}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    )
    try:
        connection.send(head.encode() + data)
    except ConnectionEnded:
        return
