import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

STATES = [("waiting", "Waiting"), ("working", "Working"), ("done", "Done"), ("failed", "Failed")]
WORKER = models.CharField(blank=True, editable=False, max_length=32)
FAILED_AT = models.DateTimeField(blank=True, editable=False, null=True)
LEASED_UNTIL = models.DateTimeField(blank=True, editable=False, null=True)
RETRY_AT = models.DateTimeField(blank=True, help_text="Not processed before this time.", null=True)


class Migration(migrations.Migration):
    dependencies = [("media_serving", "0009_places_of_uploads")]

    operations = [
        # The lease on a camera's uploads
        migrations.RenameModel("CameraTurn", "CameraLease"),
        migrations.RenameField("cameralease", "holder", "worker"),
        migrations.RenameField("cameralease", "taken_at", "acquired_at"),
        migrations.AlterModelOptions("cameralease", {"ordering": ("acquired_at",)}),
        migrations.AlterField("cameralease", "worker", WORKER),
        migrations.AlterField("cameralease", "leased_until", LEASED_UNTIL),
        migrations.AlterField(
            "cameralease",
            "camera",
            models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="lease", to="cameras.camera"
            ),
        ),
        # Uploads
        migrations.AddField("upload", "failed_at", FAILED_AT),
        migrations.AlterField("upload", "retry_at", RETRY_AT),
        # Clips
        migrations.RenameField("clipwork", "wanted", "request_number"),
        migrations.AddField("clipwork", "failed_at", FAILED_AT),
        migrations.AlterField("clipwork", "worker", WORKER),
        migrations.AlterField("clipwork", "leased_until", LEASED_UNTIL),
        migrations.AlterField("clipwork", "retry_at", RETRY_AT),
        migrations.AlterField(
            "clipwork", "state", models.CharField(choices=STATES, default="waiting", max_length=9)
        ),
        # Transcodes
        migrations.RemoveConstraint("playableform", "playable_state_is_known"),
        migrations.RemoveConstraint("playableform", "playable_one_at_a_time"),
        migrations.RemoveConstraint("playableform", "playable_work_has_lease"),
        migrations.RenameModel("PlayableForm", "Transcode"),
        migrations.RenameIndex("transcode", old_name="playable_least_used", new_name="transcode_least_used"),
        migrations.AddField("transcode", "failed_at", FAILED_AT),
        migrations.AlterField("transcode", "worker", WORKER),
        migrations.AlterField("transcode", "leased_until", LEASED_UNTIL),
        migrations.AlterField("transcode", "retry_at", RETRY_AT),
        migrations.AlterField(
            "transcode", "state", models.CharField(choices=STATES, default="waiting", max_length=9)
        ),
    ]
