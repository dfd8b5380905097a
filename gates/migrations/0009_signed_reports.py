import django.db.models.deletion
from django.db import migrations, models
from django.db.models.fields.json import KT

# The rows stay what they were: each is only told the campaign of its run. The trigger that refuses every change is
# away for this one statement.
TELL_CAMPAIGNS = """
ALTER TABLE gates_report DISABLE TRIGGER pgtrigger_report_append_only_ad4c5;
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE gates_report SET campaign_id = gates_run.campaign_id FROM gates_run WHERE gates_run.id = gates_report.run_id;
ALTER TABLE gates_report ENABLE TRIGGER pgtrigger_report_append_only_ad4c5;
"""


def from_seal(name: str) -> models.GeneratedField:
    """Return a column that the database keeps equal to a field of the content's seal."""
    return models.GeneratedField(
        db_persist=True, expression=KT(f"content__seal__{name}"), output_field=models.TextField(null=True)
    )


class Migration(migrations.Migration):
    dependencies = [("gates", "0008_crash_point_phases")]

    operations = [
        migrations.AddField(
            model_name="report",
            name="campaign",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reports",
                to="gates.campaign",
            ),
        ),
        migrations.RunSQL(TELL_CAMPAIGNS, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="report",
            name="run",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="report", to="gates.run"
            ),
        ),
        migrations.AddField(model_name="report", name="previous", field=from_seal("previous")),
        migrations.AddField(model_name="report", name="signed_by", field=from_seal("signed_by")),
        migrations.AddField(model_name="report", name="signature", field=from_seal("signature")),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.UniqueConstraint(
                condition=models.Q(run=None),
                fields=("campaign", "kind"),
                name="one_report_of_a_kind_per_campaign",
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(campaign__isnull=False) | models.Q(kind="key-rotation", run=None),
                name="a_report_is_of_a_campaign",
            ),
        ),
    ]
