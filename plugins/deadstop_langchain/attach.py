"""`monitor.attach("langchain")`: the handler for the whole process, first in every list of handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager

from deadstop.adapters import Patches
from deadstop_langchain.handler import DeadstopCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadstop import Monitor


class ProcessHandler:
    """Puts one handler into every callback manager that LangChain configures, before all others.

    A handler before ours would open a span for the call that we refuse, and never see its end. Both public
    `configure` class methods are wrapped rather than a configure hook registered: hooks append last, and LangChain has
    no way to unregister one.
    """

    def __init__(self, monitor: Monitor, **options: Any) -> None:
        self.handler = DeadstopCallbackHandler(monitor, **options)
        self._patches = Patches()

    def attach(self) -> None:
        """Start."""
        for manager in (CallbackManager, AsyncCallbackManager):
            configure = vars(manager)["configure"].__func__
            self._patches.replace(manager, "configure", classmethod(self._configuring(configure)))

    def detach(self) -> None:
        """Restore both class methods."""
        self._patches.restore()

    def _configuring(self, configure: Callable[..., Any]) -> Callable[..., Any]:
        def configured(cls: type, *args: Any, **kwargs: Any) -> Any:
            manager = configure(cls, *args, **kwargs)
            handlers = manager.handlers
            if not handlers or handlers[0] is not self.handler:
                self._put_first(manager)
            return manager

        return configured

    def _put_first(self, manager: Any) -> None:
        """Our own first; a handler of the same home that was handed over explicitly takes its place."""
        ours = next((h for h in manager.handlers if self._is_ours(h)), self.handler)
        for handlers in (manager.handlers, manager.inheritable_handlers):
            if ours in handlers:
                handlers.remove(ours)
            handlers.insert(0, ours)

    def _is_ours(self, handler: object) -> bool:
        return isinstance(handler, DeadstopCallbackHandler) and handler.monitor.home is self.handler.monitor.home

    def get_sli_snapshot(self) -> dict[str, Any]:
        """Return the indicators of everything that passed through this process (see `Sli`)."""
        return self.handler.get_sli_snapshot()

    def clear(self) -> None:
        """Empty the snapshot."""
        self.handler.clear()
