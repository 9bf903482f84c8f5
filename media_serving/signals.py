"""Signals to higher-level apps, sent inside the transaction of the change."""

from django.dispatch import Signal

# event; widened: true if it was already closed and has changed; late: true if old detections caused it, of which
# more may follow soon
event_closed = Signal()
clip_created = Signal()  # event, whose clip is complete and on the disk
