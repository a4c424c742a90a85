"""Finds where the examples and the guide use what a header declares, so that each page shows code that is compiled.

All of it is compiled and run by tests/shell/examples.sh and tests/shell/snippets.py. A sample is one whole function of
such a program; the shortest of a sensible length is taken, from an example before one from a page.
"""

import re
from dataclasses import dataclass

FEWEST_LINES, MOST_LINES = 5, 32
FENCE = re.compile(r"^```c[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"^(?:static |int |COIR_TEST)[^;{}=]*\)\n\{\n.*?^\}$", re.MULTILINE | re.DOTALL)


@dataclass
class Sample:
    source: str  # "examples/race.c", or a page of the guide
    text: str

    @property
    def lines(self):
        return self.text.count("\n") + 1


def pattern(names):
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, names)) + r")(?!\w)")


class Samples:
    def __init__(self, root):
        self.programs = {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8")
                         for p in sorted((root / "examples").glob("*.c"))}
        self.pages = {}
        for path in sorted((root / "docs").rglob("*.md")):
            if "internals" not in path.parts:
                blocks = FENCE.findall(path.read_text(encoding="utf-8"))
                self.pages[path.relative_to(root).as_posix()] = blocks
        self.functions = [Sample(name, text) for name, program in self.programs.items()
                          for text in FUNCTION.findall(program)]
        self.blocks = [Sample(name, block.strip("\n")) for name, blocks in self.pages.items() for block in blocks]
        self.blocks += [Sample(s.source, text) for s in self.blocks for text in FUNCTION.findall(s.text)]

    def of(self, names):
        """The best sample that uses one of the names, or None."""
        wanted = pattern(names)
        for candidates in [self.functions, self.blocks]:
            fitting = [s for s in candidates if wanted.search(s.text) and FEWEST_LINES <= s.lines <= MOST_LINES]
            if fitting:
                return min(fitting, key=lambda s: (s.lines, s.source))
        fitting = [s for s in self.blocks if wanted.search(s.text) and s.lines <= MOST_LINES]
        return min(fitting, key=lambda s: (-s.lines, s.source)) if fitting else None

    def users(self, names):
        """The examples that use one of the names."""
        wanted = pattern(names)
        return [name for name, text in self.programs.items() if wanted.search(text)]
