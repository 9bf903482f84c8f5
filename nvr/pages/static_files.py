"""Static files with content-hashed names, so that browsers can cache them forever."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class FallbackManifestStorage(CompressedManifestStaticFilesStorage):
    """Returns the plain name of a file that is not collected (in tests, at the first start), instead of an error."""

    manifest_strict = False
    support_js_module_import_aggregation = True  # what a module imports has a hashed name too

    def hashed_name(self, name: str, content: object = None, filename: str | None = None) -> str:
        try:
            return str(super().hashed_name(name, content, filename))
        except ValueError:
            return name
