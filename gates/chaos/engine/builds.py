"""Which build the cells strike: what their program shows, compared with the campaign's. Pure."""

UNKNOWN = "unknown"


def another_build(shown: str, wanted: str) -> str:
    """Say that a cell's program shows another build than the one wanted; empty where it is that one or either is
    silent: what shows no build is noted in the report, and proves nothing against itself.
    """
    if not shown or wanted in ("", UNKNOWN, shown):
        return ""
    return (
        f"The program that cells start shows the build {shown}, and the campaign is for {wanted}: "
        "let [process] command start the build that the target runs."
    )
