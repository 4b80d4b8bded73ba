"""A scripted model behind real HTTP: what OpenAI's API would answer, and a log of what arrived when.

```python
script = (Turn(tool_calls=(ToolCallScript("search", {"q": "x"}),)), Turn("done"))
with ScriptedModelServer(script) as server:
    client = openai.OpenAI(base_url=server.base_url, api_key="unused")
    ...
    assert server.count(after=killed_at) == 0
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from deadstop.testing.http_listener import HttpListener
from deadstop.testing.model_api import ModelApi
from deadstop.testing.model_script import Script, Turn, script_function
from deadstop.testing.request_log import Journal, RequestLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_OK = Turn("ok")


S = TypeVar("S", bound="ScriptedModelServer")


class ScriptedModelServer:
    """An HTTP/1.1 server on 127.0.0.1 that answers from a script; a context manager, or `start()` and `stop()`.

    It serves `POST /v1/chat/completions`, `/v1/responses`, `/v1/completions` and `/v1/embeddings` (streamed where the
    request asks for it) and `GET /v1/models`. Each connection has its own thread, none is the caller's: it can be used
    beside asyncio, and a blocking script or hook holds up no other connection.

    - `script`: one `Turn` for every request; a sequence, used in order of arrival (by bad requests not at all), whose
      last turn repeats, or with `repeat_last=False` is followed by status 500 "the script is exhausted"; or a function
      that gets the `ModelRequest` and returns a `Turn`.
    - `port`: 0 takes a free one. `models`: what `GET /v1/models` lists; any model is answered.
    - `on_request(log)`: called when a request has arrived, before anything is answered. It may be set at any time.

    When the script or the hook raises, the client gets status 500, and the exception is kept in `failures`; leaving the
    `with` block raises the first one, unless the block itself raised.
    """

    def __init__(
        self,
        script: Script = _OK,
        *,
        port: int = 0,
        repeat_last: bool = True,
        models: Sequence[str] = ("scripted-model",),
        on_request: Callable[[RequestLog], object] | None = None,
    ) -> None:
        self._port = port
        self._journal = Journal()
        self._api = ModelApi(
            self._journal,
            turn_for=script_function(script, repeat_last=repeat_last),
            models=tuple(models),
            arrived=self._arrived,
            failed=self._failed,
        )
        self._listener: HttpListener | None = None
        self.on_request: Callable[[RequestLog], object] | None = on_request
        self.failures: list[Exception] = []

    def start(self) -> None:
        """Listen and serve. Raises OSError when the port is taken, RuntimeError when the server runs already."""
        if self._listener is not None:
            raise RuntimeError(f"the server runs already, at {self.base_url}")
        self._listener = HttpListener(self._api.serve, port=self._port)

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection and end every thread, at once; idempotent. The log can still be read afterwards.

        Raises TimeoutError if a script function or a hook still runs after `timeout` seconds.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop(timeout)

    def __enter__(self: S) -> S:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self.failures:
            raise self.failures[0]

    @property
    def port(self) -> int:
        """The port it listens on. Raises RuntimeError while the server does not run."""
        if self._listener is None:
            raise RuntimeError("the server does not run: call start(), or use it as a context manager")
        return self._listener.port

    @property
    def base_url(self) -> str:
        """What a client needs: `http://127.0.0.1:PORT/v1`. Raises RuntimeError while the server does not run."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[RequestLog]:
        """Every request so far, bad ones included: copies, which do not change any more."""
        return self._journal.snapshot()

    def count(self, after: float | None = None, path: str | None = None) -> int:
        """How many requests arrived, later than `after` (`time.monotonic()`), on `path` ("/v1/chat/completions")."""
        return sum(
            (after is None or entry.arrived > after) and (path is None or entry.path == path) for entry in self.requests
        )

    def wait_for_requests(self, n: int, timeout: float) -> bool:
        """Block until at least `n` requests have arrived; False after `timeout` seconds."""
        return self._journal.wait(lambda entries: len(entries) >= n, timeout)

    def wait_for_chunks(self, n: int, timeout: float) -> bool:
        """Block until at least `n` chunks were streamed, over all requests; False after `timeout` seconds."""
        return self._journal.wait(lambda entries: sum(entry.chunks_sent for entry in entries) >= n, timeout)

    def wait_for_finished(self, n: int, timeout: float) -> bool:
        """Block until at least `n` turns were carried out to their end; False after `timeout` seconds."""
        return self._journal.wait(lambda entries: sum(entry.finished is not None for entry in entries) >= n, timeout)

    def wait_for_disconnects(self, n: int, timeout: float) -> bool:
        """Block until at least `n` clients left before their answer's end; False after `timeout` seconds."""
        return self._journal.wait(
            lambda entries: sum(entry.disconnected is not None for entry in entries) >= n, timeout
        )

    def reset(self) -> None:
        """Forget all requests and failures, one still being answered too, and start the script anew."""
        self._journal.clear()
        self.failures = []

    def _arrived(self, entry: RequestLog) -> None:
        hook = self.on_request
        if hook is not None:
            hook(self._journal.copy(entry))

    def _failed(self, failure: Exception) -> None:
        self.failures.append(failure)
