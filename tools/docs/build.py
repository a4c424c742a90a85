#!/usr/bin/env python3
"""Builds the reference of the public headers: pages for a browser, and man pages.

Usage: build.py OUT              writes OUT/html and OUT/man
       build.py --man DIRECTORY  installs the man pages, for "meson install": a relative one is below the prefix

Nothing but the standard library is needed. Doxygen and its like want marks in the comments (@param, \\return), or print
them as they find them; ours are sentences under fixed words, which is what a reader of the header sees. The comments of include/coir are the only source: what a page says is
changed there. headers.py reads them, manual.py and web.py write the two forms.
"""

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import headers
import manual
import samples
import web

ROOT = pathlib.Path(__file__).resolve().parents[2]


def version():
    return re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]


def date():
    """The day of the last commit, so that two builds of it are equal; of the source's archive otherwise, or today."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch and shutil.which("git"):
        asked = subprocess.run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True)
        epoch = asked.stdout.strip() if asked.returncode == 0 else ""
    moment = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch else datetime.datetime.now()
    return moment.date().isoformat()


def write(directory, pages):
    for name, text in pages.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(pages)} files in {directory}")


def main():
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    found, used = headers.read(ROOT / "include/coir"), samples.Samples(ROOT)
    pages = manual.Manual(found, used, version(), date()).pages()
    if sys.argv[1] == "--man":
        directory = pathlib.Path(sys.argv[2])
        if directory.is_absolute():
            write(pathlib.Path(os.environ.get("DESTDIR", "") + str(directory)), pages)
        else:
            write(pathlib.Path(os.environ.get("MESON_INSTALL_DESTDIR_PREFIX", ".")) / directory, pages)
        return
    out = pathlib.Path(sys.argv[1])
    write(out / "man", pages)
    write(out / "html", web.Site(ROOT, found, used, version()).pages())


if __name__ == "__main__":
    main()
