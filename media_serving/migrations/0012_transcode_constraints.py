from django.db import migrations, models
from django.db.models import Q

STATES = ["waiting", "working", "done", "failed"]


class Migration(migrations.Migration):
    dependencies = [("media_serving", "0011_job_rows")]

    operations = [
        migrations.AddConstraint(
            "transcode", models.CheckConstraint(condition=Q(state__in=STATES), name="transcode_state_is_known")
        ),
        migrations.AddConstraint(
            "transcode",
            models.CheckConstraint(
                condition=~Q(state="working") | Q(leased_until__isnull=False), name="transcode_has_lease"
            ),
        ),
        migrations.AddConstraint(
            "transcode",
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="transcode_says_why"),
        ),
        migrations.AddConstraint(
            "transcode",
            models.UniqueConstraint(
                fields=("state",), condition=Q(state="working"), name="transcode_one_at_a_time"
            ),
        ),
    ]
