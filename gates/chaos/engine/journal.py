"""What a strike has broken and how far it has come, in the portal's rows: so that any worker can undo it."""

from asgiref.sync import sync_to_async
from django.utils import timezone

from gates.chaos.cells.cell import Cell
from gates.chaos.engine import work
from gates.chaos.messages import Strike
from gates.chaos.trials import Trial
from gates.models import CrashPoint


class Rows:
    """The journal of one strike in the portal's rows: the heal is committed before the strike is made."""

    def __init__(self, point: CrashPoint, worker: str) -> None:
        self._point = point
        self._worker = worker
        self._heal: int | None = None

    async def before(self, trial: Trial, cell: Cell) -> None:
        """Commit what must be undone: which processes and which database stand behind the strike."""
        process = cell.target.process
        what = {
            "engine": self._worker,
            "target_pid": process.pid if process else None,
            "target_started_ticks": process.started_ticks if process else None,
            "target_mark": process.mark if process else None,
            "experiment_mark": cell.experiment_mark if trial.strike is Strike.EXPERIMENT else None,
            "server": cell.premises.ledgers.address,
            "database": cell.database,
            "proxies": [proxy.process.pid for proxy in cell.wires.values()],
        }
        heal = await sync_to_async(work.write_heal)(self._point, what, now=timezone.now())
        self._heal = heal.pk

    async def healed(self) -> None:
        """Commit that it is undone."""
        if self._heal is not None:
            await sync_to_async(work.note_healed)(self._heal, by=self._worker, now=timezone.now())
            self._heal = None

    async def reached(self, phase: str) -> None:
        """Note the phase."""
        await sync_to_async(work.reached)(self._point, phase, now=timezone.now())
