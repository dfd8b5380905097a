"""`python -m gates.incidents PROOF`: runs one prevention test; started by a tick that has claimed it."""

import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from gates.incidents.proving import prove

    prove(int(sys.argv[1]))
