from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("reviewer", "0005_trash_run_rows")]

    operations = [
        migrations.AddConstraint(
            "trashrun",
            models.CheckConstraint(
                condition=~Q(state="working") | Q(leased_until__isnull=False), name="trash_run_has_lease"
            ),
        ),
        migrations.AddConstraint(
            "trashrun",
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="trash_run_says_why"),
        ),
    ]
