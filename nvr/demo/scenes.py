"""The drawn scenes: each function draws one for a given time, within a few milliseconds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime

from PIL import Image, ImageDraw, ImageFont

SIZE = (1280, 720)
HORIZON = 400
Colour = tuple[int, int, int]
Scene = Callable[[ImageDraw.ImageDraw, float], None]


def draw(scene: Scene, seconds: float) -> Image.Image:
    """Draw `scene` at `seconds` (Unix time), with a timestamp in a corner as cameras add it."""
    image = Image.new("RGB", SIZE)
    canvas = ImageDraw.Draw(image)
    scene(canvas, seconds)
    stamp = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    canvas.rectangle((16, 668, 400, 704), fill=(0, 0, 0))
    canvas.text((28, 672), stamp, fill=(255, 255, 255), font=ImageFont.load_default(26))
    return image


def gradient(canvas: ImageDraw.ImageDraw, top: int, bottom: int, first: Colour, last: Colour) -> None:
    for y in range(top, bottom, 4):
        share = (y - top) / (bottom - top)
        colour = tuple(round(a + (b - a) * share) for a, b in zip(first, last, strict=True))
        canvas.rectangle((0, y, SIZE[0], y + 4), fill=colour)


def passing(seconds: float, *, period: float, share: float) -> float | None:
    """Return the position (0 to 1) of an object that passes once per `period`; None while it is not visible."""
    position = (seconds % period) / (period * share)
    return position if position < 1 else None


def person(canvas: ImageDraw.ImageDraw, x: float, feet: float, height: float, coat: Colour, stride: float) -> None:
    """A walking person; `feet` is the y coordinate of the ground, and `stride` swings legs and arms."""
    head, hip, shoulder = height * 0.07, feet - height * 0.47, feet - height * 0.82
    swing = math.sin(stride) * height * 0.14
    for side in (1, -1):
        canvas.line((x, hip, x + side * swing, feet), fill=(38, 42, 58), width=round(height * 0.09))
        canvas.line((x, shoulder, x - side * swing, hip), fill=coat, width=round(height * 0.07))
    canvas.rounded_rectangle(
        (x - height * 0.1, shoulder - height * 0.03, x + height * 0.1, hip + height * 0.04),
        height * 0.05,
        fill=coat,
    )
    canvas.ellipse((x - head, feet - height, x + head, feet - height + 2 * head), fill=(224, 180, 150))


def car(canvas: ImageDraw.ImageDraw, x: float, ground: float, colour: Colour) -> None:
    canvas.polygon(
        [(x + 50, ground - 75), (x + 90, ground - 120), (x + 210, ground - 120), (x + 260, ground - 75)],
        fill=colour,
    )
    canvas.polygon(
        [(x + 72, ground - 78), (x + 98, ground - 110), (x + 204, ground - 110), (x + 236, ground - 78)],
        fill=(150, 190, 210),
    )
    canvas.rounded_rectangle((x, ground - 80, x + 320, ground - 22), 18, fill=colour)
    for wheel in (x + 66, x + 254):
        canvas.ellipse((wheel - 30, ground - 52, wheel + 30, ground + 8), fill=(24, 24, 28))
        canvas.ellipse((wheel - 13, ground - 35, wheel + 13, ground - 9), fill=(150, 150, 156))


def front_door(canvas: ImageDraw.ImageDraw, seconds: float) -> None:
    """A house wall with a door and a plant; a person passes about once a minute."""
    gradient(canvas, 0, 560, (214, 202, 184), (190, 176, 158))
    gradient(canvas, 560, 720, (128, 124, 120), (96, 92, 90))
    canvas.rectangle((520, 130, 780, 560), fill=(92, 58, 42), outline=(60, 36, 26), width=10)
    canvas.rectangle((560, 180, 740, 320), fill=(126, 160, 178))
    canvas.ellipse((738, 350, 760, 372), fill=(220, 190, 90))
    for x in (140, 930):
        canvas.rectangle((x, 170, x + 220, 400), fill=(120, 158, 180), outline=(240, 236, 228), width=12)
    canvas.ellipse((800, 440, 920, 540), fill=(70, 120, 66))
    canvas.polygon([(826, 510), (894, 510), (882, 580), (838, 580)], fill=(156, 92, 66))
    position = passing(seconds, period=46, share=0.5)
    if position is not None:
        person(canvas, 60 + position * 1160, 690, 200, (52, 60, 110), seconds * 5)


def garden(canvas: ImageDraw.ImageDraw, seconds: float) -> None:
    """Lawn, trees and clouds; a cat passes, and nothing else moves."""
    gradient(canvas, 0, HORIZON, (118, 172, 220), (206, 226, 236))
    gradient(canvas, HORIZON, 720, (104, 150, 78), (66, 110, 50))
    for number in range(4):
        x = number * 400 - 120
        canvas.ellipse((x, 60 + 40 * (number % 2), x + 220, 120 + 40 * (number % 2)), fill=(240, 244, 246))
    for number, x in enumerate((150, 470, 1010)):
        canvas.rectangle((x - 16, 300, x + 16, 480), fill=(96, 70, 48))
        canvas.ellipse((x - 110, 120, x + 110, 350), fill=(58, 104 + 14 * number, 52))
    position = passing(seconds, period=34, share=0.6)
    if position is not None:
        cat(canvas, 1240 - position * 1200, 610, seconds)


def cat(canvas: ImageDraw.ImageDraw, x: float, ground: float, seconds: float) -> None:
    """A tabby: one with plain fur would darken the lawn evenly like a shadow, which the detector ignores."""
    fur, stripe, white = (86, 77, 68), (34, 30, 28), (232, 226, 214)
    for leg in (0, 24, 78, 102):
        swing = math.sin(seconds * 6 + leg) * 12
        canvas.line((x + leg, ground - 40, x + leg + swing, ground), fill=fur, width=12)
        canvas.ellipse((x + leg + swing - 9, ground - 10, x + leg + swing + 6, ground + 2), fill=white)
    canvas.line((x + 112, ground - 60, x + 160, ground - 110 + math.sin(seconds * 2) * 14), fill=stripe, width=11)
    canvas.ellipse((x - 14, ground - 84, x + 118, ground - 28), fill=fur)
    canvas.chord((x - 14, ground - 84, x + 118, ground - 28), 25, 165, fill=white)
    for band in range(14, 110, 24):
        back = ground - 56 - 28 * math.sqrt(1 - ((band - 52) / 66) ** 2)
        canvas.line((x + band, back + 3, x + band - 5, ground - 48), fill=stripe, width=12)
    cat_head(canvas, x, ground, fur, stripe, white)


def cat_head(canvas: ImageDraw.ImageDraw, x: float, ground: float, fur: Colour, stripe: Colour, white: Colour) -> None:
    canvas.polygon([(x - 42, ground - 96), (x - 38, ground - 128), (x - 22, ground - 108)], fill=stripe)
    canvas.polygon([(x - 14, ground - 110), (x + 2, ground - 128), (x + 4, ground - 96)], fill=stripe)
    canvas.ellipse((x - 46, ground - 112, x + 8, ground - 62), fill=fur)
    canvas.chord((x - 46, ground - 112, x + 8, ground - 62), 20, 160, fill=white)
    for eye in (x - 36, x - 14):
        canvas.ellipse((eye, ground - 97, eye + 10, ground - 87), fill=(196, 204, 84))
        canvas.ellipse((eye + 3, ground - 97, eye + 7, ground - 87), fill=stripe)
    canvas.polygon([(x - 25, ground - 82), (x - 15, ground - 82), (x - 20, ground - 76)], fill=(206, 130, 124))


def driveway(canvas: ImageDraw.ImageDraw, seconds: float) -> None:
    """A street with houses; cars of three colours pass, and sometimes a person."""
    gradient(canvas, 0, HORIZON + 20, (168, 186, 204), (216, 220, 222))
    for x, wall in ((40, (190, 150, 126)), (420, (172, 178, 170)), (820, (204, 186, 150))):
        canvas.rectangle((x, 220, x + 300, HORIZON + 20), fill=wall)
        canvas.polygon([(x - 20, 220), (x + 150, 120), (x + 320, 220)], fill=(110, 62, 54))
        for window in (x + 40, x + 190):
            canvas.rectangle((window, 270, window + 70, 340), fill=(92, 116, 134))
    canvas.rectangle((0, HORIZON + 20, 1280, 480), fill=(150, 146, 140))
    gradient(canvas, 480, 720, (84, 86, 90), (62, 64, 68))
    for x in range(-60, 1280, 160):
        canvas.rectangle((x, 566, x + 80, 574), fill=(222, 222, 214))
    person_position = passing(seconds + 9, period=40, share=0.7)
    if person_position is not None:
        person(canvas, 1260 - person_position * 1240, 476, 170, (52, 96, 150), seconds * 5)
    car_position = passing(seconds, period=18, share=0.55)
    if car_position is not None:
        colour = ((178, 40, 40), (236, 236, 232), (40, 74, 120))[int(seconds // 18) % 3]
        car(canvas, -330 + car_position * 1620, 650, colour)


def barn_at_night(canvas: ImageDraw.ImageDraw, seconds: float) -> None:
    """An infrared picture, grey and noisy, with an animal whose eyes reflect the lamp."""
    gradient(canvas, 0, 330, (12, 12, 12), (26, 26, 26))
    gradient(canvas, 330, 720, (64, 64, 64), (104, 104, 104))
    canvas.polygon([(300, 330), (300, 150), (560, 60), (820, 150), (820, 330)], fill=(86, 86, 86))
    canvas.rectangle((480, 190, 640, 330), fill=(30, 30, 30))
    noise = random.Random(round(seconds * 10))  # noqa: S311 - not for cryptography
    for _ in range(900):
        x, y, light = noise.randrange(1280), noise.randrange(720), noise.randrange(30, 130)
        canvas.point([(x, y), (x + 1, y)], fill=(light, light, light))
    position = passing(seconds, period=52, share=0.4)
    if position is not None:
        left, feet = 100 + position * 1000, 560 + math.sin(seconds) * 8
        canvas.ellipse((left, feet - 80, left + 190, feet), fill=(142, 142, 142))
        canvas.ellipse((left + 150, feet - 120, left + 240, feet - 40), fill=(152, 152, 152))
        for eye in (left + 192, left + 216):
            canvas.ellipse((eye, feet - 92, eye + 10, feet - 82), fill=(255, 255, 255))
