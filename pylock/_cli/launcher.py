#!python
"""Installed as the command ``pylock``. Written by hand, because the script that installers generate imports re."""

try:
    from pylock._cli import console
except ModuleNotFoundError as error:
    import sys

    what = getattr(sys.modules.get("pylock"), "__file__", None)
    if what is None or not str(error.name).startswith("pylock."):
        raise
    print(
        f"pylock: {what!r} is of another project with the same name; install pylock-fcntl in an environment without it",
        file=sys.stderr,
    )
    sys.exit(125)

if __name__ == "__main__":
    console()
