"""News for the apps above, sent inside the transaction of the change itself."""

from django.dispatch import Signal

camera_trashed = Signal()  # camera
camera_restored = Signal()  # camera
camera_purging = Signal()  # camera, empty, about to be deleted for good; rows go by `purging.register_remover`
