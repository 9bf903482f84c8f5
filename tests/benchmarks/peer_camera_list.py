"""The peer of the camera list: FastAPI, SQLAlchemy and pydantic, with the same authentication by API key."""

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["PEER_DATABASE"])
Sessions = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON}


class User(Base):
    __tablename__ = "auth_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]


class ApiKey(Base):
    __tablename__ = "accounts_apikey"
    id: Mapped[int] = mapped_column(primary_key=True)
    prefix: Mapped[str]
    digest: Mapped[str]
    user_id: Mapped[int]


class Camera(Base):
    __tablename__ = "cameras_camera"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]
    folder_path: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    ingestion_mode: Mapped[str]
    rtsp_url: Mapped[str]
    stream_profile: Mapped[str]
    motion_sensitivity: Mapped[float]


class CameraOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    slug: str
    name: str
    folder_path: str
    status: str
    created_at: datetime
    last_seen_at: datetime | None
    ingestion_mode: str
    rtsp_url: str
    stream_profile: str
    motion_sensitivity: float


class Page(BaseModel):
    items: list[CameraOut]
    total: int


def session() -> Iterator[Session]:
    with Sessions() as opened:
        yield opened


Database = Annotated[Session, Depends(session)]


def signed_in(x_api_key: Annotated[str, Header()], database: Database) -> User:
    _, prefix, secret = x_api_key.split("_", 2)
    statement = select(ApiKey, User).join(User, User.id == ApiKey.user_id).where(ApiKey.prefix == prefix)
    found = database.execute(statement).first()
    if found is None or found[0].digest != hashlib.sha256(secret.encode()).hexdigest() or not found[1].is_active:
        raise HTTPException(401)
    return found[1]


@app.get("/api/cameras", response_model=Page)
def cameras(user: Annotated[User, Depends(signed_in)], database: Database) -> Page:
    rows = database.scalars(select(Camera).where(Camera.deleted_at.is_(None)).order_by(Camera.name)).all()
    return Page(items=[CameraOut.model_validate(row) for row in rows], total=len(rows))
