"""``python -m fastmml`` is the command ``fastmml``."""

from fastmml.cli import main

if __name__ == "__main__":
    main()
