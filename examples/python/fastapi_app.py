"""fastapi_app.py - an application of FastAPI whose WebSockets are served by libws.

    pip install fastapi uvicorn
    uvicorn --ws libws.uvicorn:WebSocketProtocol fastapi_app:app

Nothing in the application knows of libws; the option makes the difference.
"""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
rooms: dict[str, set[WebSocket]] = {}


@app.get("/")
async def count_people() -> dict[str, int]:
    return {room: len(people) for room, people in rooms.items()}


@app.websocket("/rooms/{room}")
async def visit(ws: WebSocket, room: str, name: str = "somebody") -> None:
    await ws.accept()
    people = rooms.setdefault(room, set())
    people.add(ws)
    try:
        while True:
            text = await ws.receive_text()
            for other in list(people):
                await other.send_text(f"{name}: {text}")
    except WebSocketDisconnect:
        people.remove(ws)
