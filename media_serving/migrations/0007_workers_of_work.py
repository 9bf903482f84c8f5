from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("media_serving", "0006_postponed_uploads")]

    operations = [
        migrations.AlterModelOptions("clipwork", {"ordering": ("-sent_at", "-pk"), "verbose_name": "clip"}),
        migrations.AddField("clipwork", "worker", models.CharField(blank=True, editable=False, max_length=12)),
        migrations.AddField("playableform", "worker", models.CharField(blank=True, editable=False, max_length=12)),
    ]
