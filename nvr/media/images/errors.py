"""What is said of a picture that is not decoded; here, so that who says it needs no Pillow."""

from __future__ import annotations

from nvr.errors import Invalid, Unavailable


class NotAnImage(Invalid):
    title = "The file is not an image of a known format"


class DamagedImage(Invalid):
    title = "The image is incomplete or damaged"


class ImageTooLarge(Invalid):
    title = "The image has too many pixels"


class ImageTooSlow(Invalid):
    """Of its size it could be shown; but how it is coded costs more time than any honest picture."""

    title = "The image takes too long to decode"


class DecodingTimedOut(Unavailable):
    """By the clock on the wall: the picture may be as much to blame as what else the machine was doing."""

    title = "Reading the picture took too long: try again."
