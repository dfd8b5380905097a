"""`python -m gates.rehearsal.desk`: runs the desk until SIGTERM or SIGINT."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # a start makes no rubbish: looking for some among what is loaded takes longer than loading the desk
    from gates.rehearsal.desk.life import main

    gc.freeze()  # what is loaded stays: no collection need look at it, and nobody takes it apart at the end
    gc.enable()
    sys.exit(main())
