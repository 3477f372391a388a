"""The stock python-socketio client, asyncio, as a program of the client matrix (see ../README.md)."""

import asyncio
import json
import os
import sys

import socketio

url, token, transport = sys.argv[1:]
transports = ["polling", "websocket"] if transport == "upgrade" else [transport]
client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=1)


def output(line):
    print(json.dumps(line), flush=True)


@client.event
async def connect():
    output({"kind": "connect", "recovered": False})


@client.event
async def disconnect(reason):
    output({"kind": "disconnect", "reason": reason})


@client.event
async def connect_error(data):
    # The library reports network errors, which it retries, as text.
    if isinstance(data, dict):
        output({"kind": "refused", "data": data})


@client.on("*")
async def any_event(name, *args):
    output({"kind": "event", "name": name, "data": args[0] if args else None})


async def commands():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)

        def answer(*args, number=command["id"]):
            output({"kind": "ack", "id": number, "data": args[0] if args else None})

        await client.emit(command["event"], command["payload"], callback=answer)
    os._exit(0)


async def main():
    reading = asyncio.create_task(commands())
    try:
        await client.connect(url, auth={"token": token}, transports=transports)
        await client.wait()
    except socketio.exceptions.ConnectionError:
        pass
    await reading


asyncio.run(main())
