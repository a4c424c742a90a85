"""Writes files as C: embed.py OUTPUT FILE... makes static const char arrays named after the files, page_html for page.html."""

import pathlib
import sys

output, *files = map(pathlib.Path, sys.argv[1:])
with output.open("w", encoding="ascii") as out:
    for path in files:
        data = ", ".join(str(byte) for byte in path.read_bytes())
        out.write(f"static const unsigned char {path.name.replace('.', '_')}[] = {{{data}}};\n")
