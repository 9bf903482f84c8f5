"""Texts about events: the detected objects and the duration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

MOTION = "motion"
MAX_CLASSES = 3
PLURALS = {"person": "people", "bus": "buses", "mouse": "mice", "sheep": "sheep", "child": "children"}


def sentence(counts: Mapping[str, int], place: str) -> str:
    """Such as "2 people and 1 car at Front Door"; `counts` is the largest number of each class in one picture."""
    return f"{describe_objects(counts)} at {place}"


def describe_objects(counts: Mapping[str, int]) -> str:
    """Describe the objects; motion is mentioned only if nothing else was detected."""
    objects = {name: count for name, count in counts.items() if name != MOTION}
    if not objects:
        return "Motion" if counts else "Something"
    # People first, then the most frequent class.
    order = sorted(objects, key=lambda name: (name != "person", -objects[name], name))
    parts = [counted(objects[name], name) for name in order[:MAX_CLASSES]]
    if len(order) > MAX_CLASSES:
        parts.append("more")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(count: int, name: str) -> str:
    return f"{count} {name if count == 1 else PLURALS.get(name, f'{name}s')}"


def class_label(name: str) -> str:
    """Return a class as filters show it: "People", "Motion", "Cars"."""
    word = MOTION if name == MOTION else PLURALS.get(name, f"{name}s")
    return word[:1].upper() + word[1:]


def classes_named(word: str) -> list[str]:
    """Return the classes for another word, such as person for "people"."""
    synonyms = {plural: name for name, plural in PLURALS.items()} | {"movement": MOTION}
    synonym, singular = synonyms.get(word.lower()), word.lower().removesuffix("s")
    return [name for name in (synonym, singular) if name]


def percentage(confidence: float) -> str:
    """Such as "97%"; rounded down, so that only full confidence shows as 100%."""
    return f"{int(confidence * 100 + 1e-9)}%"


def duration_in_words(duration: timedelta) -> str:
    """Such as "24 s" or "1 min 5 s"; "less than 1 s" if shorter, as for a single picture."""
    seconds = round(duration.total_seconds())
    if seconds < 1:
        return "less than 1 s"
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{seconds} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
