from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("media_serving", "0004_thumbnails_of_reports")]

    operations = [
        migrations.AddField("clipwork", "shows", models.JSONField(blank=True, default=list, editable=False)),
    ]
