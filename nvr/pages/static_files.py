"""Static files under content-hashed names, so that browsers keep them for ever and never see an old one."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class FallbackManifestStorage(CompressedManifestStaticFilesStorage):
    """A name that was not collected (a test, a first start) is answered plainly instead of failing the page."""

    manifest_strict = False
    support_js_module_import_aggregation = True  # what a module imports has a hashed name too

    def hashed_name(self, name: str, content: object = None, filename: str | None = None) -> str:
        try:
            return str(super().hashed_name(name, content, filename))
        except ValueError:
            return name
