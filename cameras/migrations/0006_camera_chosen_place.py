from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cameras", "0005_last_picture"),
    ]

    operations = [
        migrations.AddField(
            model_name="camera",
            name="chosen_place",
            field=models.CharField(blank=True, default="", editable=False, max_length=4096),
            preserve_default=False,
        ),
    ]
