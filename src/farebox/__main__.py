"""`python -m farebox` is `farebox`."""

from farebox.cli import main

if __name__ == "__main__":
    main()
