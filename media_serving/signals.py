"""News for the apps above, sent inside the transaction of the change itself."""

from django.dispatch import Signal

# event; widened: true when it was closed already and has changed; late: true when that is the work of detections of
# some time ago, of which more may follow at once
event_closed = Signal()
clip_created = Signal()  # event, whose clip is whole and on the disk
