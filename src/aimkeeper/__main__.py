"""`python -m aimkeeper`."""

from aimkeeper.cli.main import run

if __name__ == "__main__":
    run()
