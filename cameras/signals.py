"""Signals for the apps above, sent inside the transaction of the change."""

from django.dispatch import Signal

camera_trashed = Signal()  # camera
camera_restored = Signal()  # camera
camera_purging = (
    Signal()
)  # camera, about to be deleted; its rows are already gone, see `cameras.purge.worker.register_remover`
