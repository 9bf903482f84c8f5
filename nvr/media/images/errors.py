"""Errors of image decoding, in a module that does not import Pillow."""

from __future__ import annotations

from nvr.errors import Invalid, Unavailable


class NotAnImage(Invalid):
    title = "The file is not an image of a known format"


class DamagedImage(Invalid):
    title = "The image is incomplete or damaged"


class ImageTooLarge(Invalid):
    title = "The image has too many pixels"


class ImageTooSlow(Invalid):
    """Its size is acceptable, but its encoding takes more time to decode than any normal image."""

    title = "The image takes too long to decode"


class DecodingTimedOut(Unavailable):
    """The wall-clock limit was exceeded: because of the image, or because the machine was busy."""

    title = "Reading the picture took too long: try again."
