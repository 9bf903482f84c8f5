"""The peer of the reviewer's actions: FastAPI that looks through the whole tree first; the same authentication."""

import os
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

from tests.benchmarks.peer_camera_list import User, signed_in

ROOT = Path(os.environ["PEER_ROOT"])
MADE = {"lock": (".lock", ".seen"), "trash": (".trash", ".seen"), "seen": (".seen",)}
REMOVED = {"unlock": ".lock", "untrash": ".trash", "unseen": ".seen"}
app = FastAPI()


class ActionBody(BaseModel):
    path: str
    action: str


def media() -> set[str]:
    return {os.path.join(at, name) for at, _, names in os.walk(ROOT) for name in names if name.lower().endswith(".jpg")}


@app.post("/api/media-actions")
def act(body: ActionBody, user: Annotated[User, Depends(signed_in)]) -> dict[str, object]:
    if body.path not in media():
        raise HTTPException(403)
    for ending in MADE.get(body.action, ()):
        Path(body.path + ending).touch()
    if body.action in REMOVED:
        Path(body.path + REMOVED[body.action]).unlink(missing_ok=True)
    status = {
        name: Path(body.path + ending).exists()
        for name, ending in {"locked": ".lock", "trashed": ".trash", "seen": ".seen"}.items()
    }
    return {"path": body.path, "action": body.action, "status": status}
