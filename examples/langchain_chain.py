"""A LangChain chain (LCEL) that is monitored and killed: a stream is cut, later calls never leave the process.

The model is a local server that speaks OpenAI's API, so this needs no key; point ChatOpenAI anywhere else to use yours.
"""

from __future__ import annotations

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from deadstop import AgentKilled, Monitor
from deadstop.testing import ScriptedModelServer, Turn
from deadstop_langchain import DeadstopCallbackHandler

monitor = Monitor()


def main(server: ScriptedModelServer) -> None:
    model = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="unused", stream_usage=True)
    chain = ChatPromptTemplate.from_template("Write a poem about {topic}.") | model | StrOutputParser()
    # The name of a run is the agent's; its callbacks reach everything inside.
    poet = chain.with_config(run_name="poet", callbacks=[DeadstopCallbackHandler(monitor)])

    print("answer:", poet.invoke({"topic": "rain"})[:24], "...")
    print("tokens:", monitor.get_events(agent="poet", event_type="action", limit=1)[0]["data"]["usage"])

    received: list[str] = []
    try:
        for chunk in poet.stream({"topic": "the sea"}):
            received.append(chunk)
            if len(received) == 5:  # or, in another terminal: deadstop kill poet
                monitor.kill_agent("poet", reason="too many words")
    except AgentKilled as stop:
        print("stopped:", stop)
    print("chunks received of 200:", len(received))

    arrived = server.count()
    for _ in range(3):
        try:
            poet.invoke({"topic": "anything"})
        except AgentKilled:
            continue
    print("requests after the kill:", server.count() - arrived)

    monitor.revive("poet")
    print("revived:", poet.invoke({"topic": "rain"})[:24], "...")


if __name__ == "__main__":
    poem = " ".join(["la"] * 200)
    with ScriptedModelServer(Turn(poem, chunk_delay=0.01)) as here:
        main(here)
