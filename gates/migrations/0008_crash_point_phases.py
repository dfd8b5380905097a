from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gates", "0007_chaos_depth")]

    operations = [
        migrations.AddField(model_name="crashpoint", name="phase_at", field=models.JSONField(default=dict)),
    ]
