"""python-socketio on uvicorn, one worker: `python server.py PORT`. Bare fan-out, as a reference."""

import sys

import socketio
import uvicorn

sio = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], http_compression=False)


@sio.on("chat:join")
async def join(sid, data):
    await sio.enter_room(sid, data["room"])
    return {"ok": True}


@sio.on("chat:send_message")
async def send(sid, message):
    await sio.emit("chat:receive_message", message, to=message["room"])


uvicorn.run(
    socketio.ASGIApp(sio),
    host="127.0.0.1",
    port=int(sys.argv[1]),
    log_level="warning",
    ws_per_message_deflate=False,
    backlog=4096,
)
