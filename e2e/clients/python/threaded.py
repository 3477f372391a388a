"""The stock python-socketio client, threaded, as a program of the client matrix (see ../README.md)."""

import json
import os
import sys
import threading

import socketio

url, token, transport = sys.argv[1:]
transports = ["polling", "websocket"] if transport == "upgrade" else [transport]
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=1)
lock = threading.Lock()


def output(line):
    with lock:
        print(json.dumps(line), flush=True)


@client.event
def connect():
    output({"kind": "connect", "recovered": False})


@client.event
def disconnect(reason):
    output({"kind": "disconnect", "reason": reason})


@client.event
def connect_error(data):
    # The library reports network errors, which it retries, as text.
    if isinstance(data, dict):
        output({"kind": "refused", "data": data})


@client.on("*")
def any_event(name, *args):
    output({"kind": "event", "name": name, "data": args[0] if args else None})


def commands():
    for line in sys.stdin:
        command = json.loads(line)

        def answer(*args, number=command["id"]):
            output({"kind": "ack", "id": number, "data": args[0] if args else None})

        client.emit(command["event"], command["payload"], callback=answer)
    os._exit(0)


threading.Thread(target=commands, daemon=True).start()
try:
    client.connect(url, auth={"token": token}, transports=transports)
    client.wait()
except socketio.exceptions.ConnectionError:
    threading.Event().wait()
