from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gates", "0010_campaign_moves"),
    ]

    operations = [
        migrations.AddField(
            model_name="crashpoint",
            name="recovery",
            field=models.JSONField(null=True),
        ),
    ]
