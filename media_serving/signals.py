"""News for the apps above, sent inside the transaction of the change itself."""

from django.dispatch import Signal

event_closed = Signal()  # event, widened: true when a late detection changed an event that was closed already
clip_created = Signal()  # event, whose clip is whole and on the disk
