"""Run the command line: `python -m vaereg`."""

from vaereg.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
