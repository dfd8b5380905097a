"""What the database refuses to whoever writes past the commands: emptying a table of evidence at one stroke."""

import pgtrigger

NEVER_EMPTIED = pgtrigger.Trigger(
    name="never_emptied",
    operation=pgtrigger.Truncate,
    level=pgtrigger.Statement,
    when=pgtrigger.Before,
    func="RAISE EXCEPTION '% is never emptied: what was seen and decided stays on record', TG_TABLE_NAME;",
)
