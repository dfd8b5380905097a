"""Making a moment long enough to strike in it by hand: a trigger that sleeps, or fails once, in the desk's database."""

from gates.rehearsal.defects.defect import Step

HOLD_S = 3.0  # beyond what it takes to kill, below every limit of the desk


def hold(relation: str, when: str = "true") -> Step:
    """Each row written to `relation` that fits `when` (over NEW and OLD) takes HOLD_S."""
    return _trigger(relation, f"IF {when} THEN PERFORM pg_sleep({HOLD_S}); END IF;")


def fail_once(relation: str, sqlstate: str) -> Step:
    """The next row written to `relation` fails with this SQLSTATE; a sequence remembers that it has."""
    first = f"nextval('desk.held') = 1 THEN RAISE EXCEPTION 'by hand' USING ERRCODE = '{sqlstate}'; END IF;"
    return _trigger(relation, f"IF {first}")


def let_go(relation: str) -> Step:
    """Take the trigger away again, with whoever still sleeps in it."""
    return Step(
        "sql",
        f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event = 'PgSleep';
            DROP TRIGGER IF EXISTS held ON {relation};
            DROP FUNCTION IF EXISTS desk.hold(); DROP SEQUENCE IF EXISTS desk.held""",  # noqa: S608  a name of ours
    )


def _trigger(relation: str, action: str) -> Step:
    return Step(
        "sql",
        f"""CREATE SEQUENCE desk.held;
            CREATE FUNCTION desk.hold() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN {action} RETURN NEW; END $$;
            CREATE TRIGGER held BEFORE INSERT OR UPDATE ON {relation}
                FOR EACH ROW EXECUTE FUNCTION desk.hold()""",
    )
