"""`python -m minireason` is the command `minireason`."""

from minireason.cli import main

if __name__ == "__main__":
    main()
