"""Read the capture time from a file's name and its folders.

docs/reference/file-names.md lists the makers' naming schemes; the tests use the same table. A name that matches only
in part (a day without a time, a number that looks like one) is not a clue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from media_serving.ingest.capture_time.clues import Reading
from media_serving.ingest.capture_time.written import MONTHS, hour_of, month_number, time_of, with_fraction
from media_serving.ingest.capture_time.zones import zone_from

Parts = dict[str, str]

MAX_NAME_LENGTH, MAX_PATH_LENGTH = 255, 2000
YEAR, MONTH, DAY = r"(?P<year>19[7-9]\d|20\d\d)", r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
SHORT_MONTH, SHORT_DAY = r"(?P<month>0?[1-9]|1[0-2])", r"(?P<day>0?[1-9]|[12]\d|3[01])(?!\d)"
MONTH_NAME: Final = rf"(?P<month_name>{'|'.join(MONTHS)})[a-z]{{0,6}}"
BETWEEN: Final = r"(?P<sep>[-_.: ])"
DATES: Final = (  # most certain first
    rf"{YEAR}{MONTH}{DAY}",
    rf"{YEAR}{BETWEEN}{SHORT_MONTH}(?P=sep){SHORT_DAY}",
    rf"{YEAR}Y{MONTH}M{DAY}D",
    rf"(?P<one>\d{{1,2}}){BETWEEN}(?P<two>\d{{1,2}})(?P=sep){YEAR}",
    rf"{SHORT_DAY}[-_. ]?{MONTH_NAME}[-_. ,]*{YEAR}",
    rf"{MONTH_NAME}[-_. ]?{SHORT_DAY}(?:st|nd|rd|th)?[-_. ,]+{YEAR}",
    rf"{YEAR}[-_. ]?{MONTH_NAME}[-_. ]?{SHORT_DAY}",
    rf"(?P<one>\d\d)(?P<two>\d\d){YEAR}",
)
SHORT_DATES: Final = (  # the file's time decides their order; if it is far off, they are other numbers
    rf"(?P<a>\d\d){BETWEEN}(?P<b>\d\d)(?P=sep)(?P<c>\d\d)",
    r"(?P<a>\d\d)(?P<b>\d\d)(?P<c>\d\d)",
)
HOUR, MINUTE, SECOND = r"(?P<hour>[01]\d|2[0-4])", r"(?P<minute>[0-5]\d)", r"(?P<second>[0-5]\d)"
COMPACT: Final = rf"{HOUR}{MINUTE}{SECOND}"
SEPARATED: Final = rf"(?P<hour>[01]?\d|2[0-4])(?P<colon>[-_.: ]){MINUTE}(?P=colon){SECOND}(?!\d)"
MARKED: Final = rf"{HOUR}h{MINUTE}m{SECOND}s?(?!\d)"
GAP: Final = r"(?P<gap>[T_@., :-]{0,3}|[ _]at[ _]|s)"  # Panasonic writes an s between date and time in summer
SURE_GAP: Final = r"[T_@., -]{1,3}"


def compiled(form: str) -> re.Pattern[str]:
    return re.compile(form, re.ASCII | re.IGNORECASE)


WITH_DATE: Final = tuple(
    compiled(rf"(?<!\d){date}{GAP}(?:{time})") for date in DATES for time in (SEPARATED, MARKED, COMPACT)
)
WITH_SHORT_DATE: Final = tuple(
    compiled(rf"(?<![\d.:]){date}{SURE_GAP}(?:{time})(?!\d)")
    for date in SHORT_DATES
    for time in (SEPARATED, MARKED, COMPACT)
)
# Sony, and the many cameras with a HiSilicon chip: `A26013112000010.jpg`; the last two digits are a sequence number.
TWELVE_DIGITS: Final = compiled(rf"(?<!\d)(?P<year>\d\d){MONTH}{DAY}{COMPACT}(?:\d\d)?(?!\d)")
EPOCH: Final = compiled(r"(?<![\da-z])(?P<seconds>1\d{9})(?:\.(?P<fraction>\d{1,9})|(?P<milliseconds>\d{3}))?(?!\d)")
ANY_DATE: Final = tuple(compiled(rf"(?<!\d){date}(?!\d)") for date in DATES[:-1])
FAR_TIME: Final = compiled(rf"(?<![\d.])(?:{SEPARATED}|{MARKED.replace('?P<', '?P<m_')})(?!.?\d\d(?!\d))")
ZONE: Final = compiled(
    r"Z(?![a-z\d])|[ _]?(?:UTC|GMT)(?:[+-]\d{1,2}(?:[:_.]?\d\d)?)?(?!\d)|[+-]\d\d[:_]?\d\d(?!\d)|\+\d\d(?!\d)"
)
FRACTION: Final = compiled(r"[-_.,](?:(\d{3})(?!\d)|(\d\d|(?<=[.,])(?:\d|\d{6}))(?!\d|[-_.:]\d))")
MORE_DIGITS: Final = compiled(r"(\d{6}|\d{2,3})(?!\d)")
HALF: Final = compiled(r"[ _-]?([ap])\.?m\.?(?![a-z])")
# For folders whose name contains the day:
FOLDER_DATES: Final = tuple(compiled(rf"[^\d]*{date}(?:(?P<hour>\d\d)H?)?[^\d]*") for date in (*DATES, *SHORT_DATES))
YEAR_FOLDER, MONTH_FOLDER, DAY_FOLDER = (compiled(part) for part in (YEAR, SHORT_MONTH, SHORT_DAY))
YEAR_AND_MONTH: Final = compiled(rf"{YEAR}[-_.]?{MONTH}")
TIMES_IN_FOLDER: Final = tuple(compiled(rf"(?<!\d){form}") for form in (SEPARATED, MARKED))
SIX_DIGITS: Final = compiled(rf"(?<!\d){COMPACT}(?!\d)")
ANY_SIX: Final = compiled(r"(?<!\d)\d{6}(?!\d)")
MAX_VIDEO_RANGE: Final = timedelta(hours=1)  # for names with the start and end of a video
# Sequence numbers of cameras, even if they look like a time.
COUNTED: Final = compiled(r"(?:IMG|DSC[NF]?|MVI|PICT|IMAGE|FRAME|SEQ|CIMG|MOV|P)_?\d")
HOUR_FOLDER: Final = compiled(HOUR)
MINUTE_AND_SECOND: Final = compiled(rf"(?:E\d)?{MINUTE}M{SECOND}S\d{{0,3}}(?:_.*)?")  # Yi and Xiaomi
SECOND_FIRST: Final = compiled(rf"{SECOND}(?:\[.*|(?:-[a-z\d]+)?\.[a-z\d]+)")  # Dahua; motion
MINUTE_OF_VIDEO: Final = compiled(rf"{MINUTE}\.(?:mp4|avi|mov|mkv|3gp)")  # Wyze, Vivotek
EIGHT_DIGITS: Final = compiled(r"\d{8}")
IN_UTC: Final = compiled(r"PXL_|\d{14}-\d{6}-[EMRTU]\d\d_\d+$")  # Google's phones; Canon's cameras


class NameTime(NamedTuple):
    """A reading, and whether it needs the folder."""

    reading: Reading
    needs_folder: bool


def time_from_path(path: str) -> NameTime | None:
    """The time in the name, or in the name with its folders; `path` is relative to the camera's folder."""
    *folders, name = normalised(path).split("/")
    stem = without_extension(name)
    if reading := first(readings_from_name(stem)):
        return NameTime(reading, needs_folder=False)
    reading = reading_from_folders(folders, name)
    return NameTime(reading, needs_folder=True) if reading else None


def normalised(path: str) -> str:
    """Restore colons: some servers replace the colon of a time with other characters."""
    return re.sub("%3A|[\uff1a\ua789\u2236]", ":", path[-MAX_PATH_LENGTH:], flags=re.IGNORECASE)


def without_extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    # Digits after a dot are part of a time, not an extension.
    return (stem if dot and 2 <= len(extension) <= 4 and not extension.isdigit() else name)[-MAX_NAME_LENGTH:]


def first(readings: Iterable[Reading | None]) -> Reading | None:
    return next((reading for reading in readings if reading), None)


def readings_from_name(stem: str) -> Iterator[Reading | None]:
    for pattern in (*WITH_DATE, *WITH_SHORT_DATE):
        for match in pattern.finditer(stem):
            yield reading_of(match, stem)
    for match in TWELVE_DIGITS.finditer(stem):
        yield reading(stem, [time_of(match.groupdict() | {"year": f"20{match['year']}"})], only_near=True)
    yield reading_from_epoch(stem)
    yield reading_from_separate_parts(stem)


def reading(
    stem: str, found: Iterable[datetime | None], *, prefers_first: bool = False, only_near: bool = False
) -> Reading | None:
    options = tuple(dict.fromkeys(at for at in found if at is not None))
    if not options:
        return None
    return Reading(f'The name "{shown(stem)}"', options, prefers_first=prefers_first, only_near=only_near)


def shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:40]


def reading_of(match: re.Match[str], stem: str) -> Reading | None:
    """The match's reading; None if digits follow the seconds that are not part of the time."""
    parts = {name: text for name, text in match.groupdict().items() if text}
    tail = tail_of(stem[match.end() :])
    if tail is None or (tail.half and hour_of(int(parts["hour"]), tail.half) is None):
        return None
    zone = UTC if IN_UTC.match(stem) else tail.zone
    more = {"half": tail.half, "fraction": tail.fraction}
    found = [time_of(parts | more | dict(day), zone) for day in days_of(parts)]
    if zone is not None and not tail.zone_is_sure and parts.get("gap") not in {"T", "t"}:
        found += [time_of(parts | more | dict(day)) for day in days_of(parts)]
    return reading(stem, found, prefers_first=zone is not None, only_near="a" in parts)


def days_of(parts: Parts) -> Iterator[Parts]:
    """The days that the parts may mean."""
    if "month_name" in parts:
        yield {"month": str(month_number(parts["month_name"]))}
    elif "one" in parts:
        yield {"day": parts["one"], "month": parts["two"]}
        yield {"day": parts["two"], "month": parts["one"]}
    elif "a" in parts:
        a, b, c = parts["a"], parts["b"], parts["c"]
        for year, month, day in ((a, b, c), (c, b, a), (c, a, b)):
            yield {"year": f"20{year}", "month": month, "day": day}
    else:
        yield {}


class Tail(NamedTuple):
    fraction: str = ""
    half: str = ""
    zone: tzinfo | None = None
    zone_is_sure: bool = True


def tail_of(rest: str) -> Tail | None:
    """A fraction of the second, AM or PM, and a zone; None if other digits follow."""
    fraction = half = ""
    if rest[:1].isdigit():
        digits = MORE_DIGITS.match(rest)
        if digits is None:
            return None
        fraction, rest = digits[1], rest[digits.end() :]
    elif not ZONE.match(rest) and (match := FRACTION.match(rest)):
        fraction, rest = match[1] or match[2], rest[match.end() :]
    if match := HALF.match(rest):
        half, rest = match[1], rest[match.end() :]
    zone = ZONE.match(rest.lstrip(" "))
    if zone is None:
        return Tail(fraction, half)
    # A minus and four digits may be a picture number; the file's time decides.
    is_sure = not re.fullmatch(r"-\d{4}", zone[0])
    return Tail(fraction, half, zone_from(zone[0].replace("_", ":").strip(": ")), is_sure)


def reading_from_epoch(stem: str) -> Reading | None:
    """Seconds or milliseconds since 1970, if the name has only one such number, or a second one for a video's end."""
    matches = list(EPOCH.finditer(stem))
    found = [datetime.fromtimestamp(int(match["seconds"]), UTC) for match in matches]
    if len(found) == 1 or (len(found) == 2 and timedelta(0) <= found[1] - found[0] <= MAX_VIDEO_RANGE):
        fraction = matches[0]["milliseconds"] or matches[0]["fraction"] or ""
        return reading(stem, [with_fraction(found[0], fraction)], only_near=True)
    return None


def reading_from_separate_parts(stem: str) -> Reading | None:
    """A day and a time with words between them, or the time first: exactly one of each, both unambiguous."""
    for pattern in ANY_DATE:
        days = list(pattern.finditer(stem))
        if len(days) != 1:
            continue
        (day,) = days
        times = [match for part in (stem[: day.start()], stem[day.end() :]) for match in FAR_TIME.finditer(part)]
        if len(times) == 1:
            parts = {name: text for name, text in day.groupdict().items() if text}
            parts |= {name.removeprefix("m_"): text for name, text in times[0].groupdict().items() if text}
            return reading(stem, [time_of(parts | dict(each)) for each in days_of(parts)])
    return None


def reading_from_folders(folders: list[str], name: str) -> Reading | None:
    """The day from the folders, the innermost first, and the time from the name."""
    for depth in range(len(folders), 0, -1):
        for date in dates_of(folders[:depth]):
            times = list(times_in_name(date, folders[depth:], folders[depth - 1], name))
            found = [time_of(date | time | dict(day)) for time in times[:1] for day in days_of(date)]
            if result := reading("/".join([*folders[-2:], name]), found, only_near="a" in date):
                return result
    return None


def dates_of(folders: list[str]) -> Iterator[Parts]:
    """The day in the last of `folders`, alone or with its parents (`2026/01/31`, `2026-01/31`)."""
    last = folders[-1]
    for pattern in FOLDER_DATES:
        if match := pattern.fullmatch(last):
            yield {name: text for name, text in match.groupdict().items() if text}
    day = DAY_FOLDER.fullmatch(last)
    if day is None or len(folders) < 2:
        return
    if both := YEAR_AND_MONTH.fullmatch(folders[-2]):
        yield {**both.groupdict(), **day.groupdict()}
    elif len(folders) > 2:
        year, month = YEAR_FOLDER.fullmatch(folders[-3]), MONTH_FOLDER.fullmatch(folders[-2])
        if year and month:
            yield {**year.groupdict(), **month.groupdict(), **day.groupdict()}


def times_in_name(date: Parts, inner: list[str], day_folder: str, name: str) -> Iterator[Parts]:
    """The times that `name` may mean; `inner` are the folders below that of the day."""
    stem = without_extension(name)
    if "hour" in date:
        if match := MINUTE_AND_SECOND.fullmatch(stem):
            yield {"hour": date["hour"], **match.groupdict()}
        return
    for pattern in TIMES_IN_FOLDER:
        for match in pattern.finditer(stem):
            if (tail := tail_of(stem[match.end() :])) is not None:
                yield match.groupdict() | {"fraction": tail.fraction, "half": tail.half}
    yield from times_of_six_digits(stem)
    yield from times_of_hour_folders(inner, day_folder, name)


def times_of_six_digits(stem: str) -> Iterator[Parts]:
    """`103130`, or `103130_103200` for start and end; with more such numbers, the time is ambiguous."""
    found = [match.groupdict() for match in SIX_DIGITS.finditer(stem)]
    if COUNTED.match(stem) or len(found) != len(ANY_SIX.findall(stem)):
        return
    if len(found) == 1 or (len(found) == 2 and timedelta(0) < clock(found[1]) - clock(found[0]) <= MAX_VIDEO_RANGE):
        yield found[0]


def clock(time: Parts) -> timedelta:
    return timedelta(hours=int(time["hour"]), minutes=int(time["minute"]), seconds=int(time["second"]))


def times_of_hour_folders(inner: list[str], day_folder: str, name: str) -> Iterator[Parts]:
    """The hour, and perhaps the minute, as separate folders."""
    hour = HOUR_FOLDER.fullmatch(inner[-1]) if inner else None
    if hour and len(inner) == 1 and EIGHT_DIGITS.fullmatch(day_folder) and (match := MINUTE_OF_VIDEO.fullmatch(name)):
        yield {**hour.groupdict(), **match.groupdict(), "second": "00"}
    if hour and (match := MINUTE_AND_SECOND.fullmatch(without_extension(name))):
        yield {**hour.groupdict(), **match.groupdict()}
    if len(inner) >= 2 and (match := SECOND_FIRST.fullmatch(name)):
        hour, minute = HOUR_FOLDER.fullmatch(inner[-2]), compiled(MINUTE).fullmatch(inner[-1])
        if hour and minute:
            yield {**hour.groupdict(), **minute.groupdict(), **match.groupdict()}
