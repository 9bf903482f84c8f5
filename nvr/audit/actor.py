"""The actor of a change: the user of a request, or the system itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.contrib.auth.models import AnonymousUser, User

from nvr.request_context import current_origin

Actor = User | AnonymousUser  # the type of `request.user`; `Actor | None` where None is the system itself


@dataclass(frozen=True)
class RecordedActor:
    """The actor and origin of a request, to be stored for work that a worker does later."""

    actor_id: int | None
    actor_name: str
    address: str
    client: str
    request_id: str


def recorded_actor(actor: Actor | None) -> RecordedActor:
    """Return `actor`, or the system itself, with the origin of the current request."""
    origin = asdict(current_origin.get())
    if actor is None or actor.pk is None:
        return RecordedActor(actor_id=None, actor_name="system", **origin)
    return RecordedActor(actor_id=actor.pk, actor_name=actor.get_username(), **origin)
