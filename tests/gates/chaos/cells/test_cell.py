"""A cell goes back to one beginning, with everything that the target keeps."""

import asyncio

from gates.chaos.cells.beginnings import FLAT, HOLDING
from gates.chaos.cells.digests import digest_of
from tests.gates.chaos.desk import running_desk


async def with_a_cursor_of_its_own(spec, folder):
    """What the target's file says after each reset, and the states it is in: it counts its starts there."""
    async with running_desk(spec, folder) as cell:
        launch, said, states = cell.launch, [], []

        def counting():
            launch()
            cursor = cell.folder.path / "cursor"
            cursor.write_text(f"{cursor.read_text() if cursor.exists() else ''}|")

        cell.launch = counting
        await cell.prepare(FLAT)
        for _ in range(2):
            await cell.reset()
            said.append((cell.folder.path / "cursor").read_text())
            states.append(await digest_of(cell))
            await cell.start()
            states.append(await digest_of(cell))
        await cell.prepare(HOLDING)
        await cell.reset()
        return said, (cell.folder.path / "cursor").read_text(), states


def test_a_file_of_the_targets_own_goes_back_with_its_books_and_tells_states_apart(desk_target, tmp_path):
    said, of_another_beginning, states = asyncio.run(with_a_cursor_of_its_own(desk_target.spec, tmp_path))
    assert said == ["|", "|"]
    assert of_another_beginning == "|"
    assert states[:2] == states[2:]
    assert states[0] != states[1]
