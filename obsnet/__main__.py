"""``python -m obsnet``: the same door where the console script is not on the path."""

from obsnet.cli import main

if __name__ == "__main__":
    main()
