"""The house rules that no compiler checks. Prints one line per violation; exit status 1 when there is any.

Each rule is one function that takes the tree and yields (path, line, message). They rely on clang-format: a function
body opens with a brace in column 0 and ends with one. What a rule demands, its docstring says.
"""

import os
import pathlib
import re
import sys
from functools import cached_property

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A room may use only rooms before it.
ROOMS = ["core", "sync", "io", "resilience", "pool", "net", "dns", "tls", "http", "curl", "data", "debug", "testing"]
MAY_USE_CORE_INTERNALS = {"core", "sync", "io", "debug", "testing"}

MOST_LINES = 800
MOST_LINES_PUBLIC_HEADER = 500
MOST_LINES_EXAMPLE = 60
MOST_LINES_FUNCTION = 70
MOST_COLUMNS = 100

BANNED = {
    "strcpy": "snprintf or memcpy with a checked length",
    "strncpy": "snprintf",
    "stpcpy": "snprintf",
    "strcat": "snprintf with an offset",
    "strncat": "snprintf with an offset",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets or coir_read",
    "strtok": "strcspn and strspn",
    "strerror": "coir_strerror (strerror is not thread-safe)",
    "atoi": "strtol with its end checked",
    "atol": "strtol with its end checked",
    "atoll": "strtoll with its end checked",
    "atof": "strtod with its end checked",
    "rand": "the loop's seeded generator",
    "srand": "the loop's seed",
    "random": "the loop's seeded generator",
    "sleep": "coir_sleep",
    "usleep": "coir_sleep",
    "alloca": "a fixed array or the allocator hook",
    "tmpnam": "mkstemp",
    "tempnam": "mkstemp",
    "mktemp": "mkstemp",
    "gmtime": "gmtime_r",
    "localtime": "localtime_r",
    "ctime": "strftime",
    "asctime": "strftime",
    "gethostbyname": "getaddrinfo",
    "inet_addr": "inet_pton",
    "inet_ntoa": "inet_ntop",
    "signal": "sigaction",
    "system": "coir_process_start",
    "popen": "coir_process_start",
}
# Libraries never print; the test kit is a program's face.
BANNED_IN_LIBRARY = {"printf": "a report", "puts": "a report", "putchar": "a report"}

CODE = {".c", ".h", ".S"}
SOURCES = CODE | {".py", ".sh", ".js", ".css", ".html", ".build"}
TEXT = SOURCES | {".md", ".txt", ".map", ".yaml", ".yml", ".json"}
SCRIPTS = {"dev", ".ci/run"}
LEFT_OPEN = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


class File:
    def __init__(self, path):
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def lines(self):
        return self.text.splitlines()

    @cached_property
    def bare(self):
        """The text of a C file with comments and literals blanked out, line breaks kept."""
        token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
        return token.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), self.text)

    @property
    def is_public_header(self):
        return self.name.startswith("include/coir/") and self.name.endswith(".h")

    @property
    def room(self):
        parts = self.name.split("/")
        return parts[1] if parts[0] == "src" and parts[1] in ROOMS else None

    def line_at(self, offset):
        return self.text.count("\n", 0, offset) + 1


class Tree:
    def __init__(self):
        self.files = []
        for directory, names, files in os.walk(ROOT):
            names[:] = sorted(n for n in names if not self.skips(pathlib.Path(directory, n)))
            for name in sorted(files):
                path = pathlib.Path(directory, name)
                if path.suffix in TEXT or path.relative_to(ROOT).as_posix() in SCRIPTS:
                    self.files.append(File(path))
        self.code = [f for f in self.files if f.path.suffix in CODE]
        self.c = [f for f in self.code if f.path.suffix in {".c", ".h"}]
        self.public = {f.path.name: f for f in self.files if f.is_public_header}

    @staticmethod
    def skips(directory):
        """Hidden and built directories, and test inputs, some of which are wrong on purpose."""
        name = directory.relative_to(ROOT).as_posix()
        hidden = directory.name.startswith((".", "__pycache__")) and name != ".ci"
        return hidden or name.startswith("build") or name == "tests/data"

    @cached_property
    def definers(self):
        """Which room defines each function."""
        found = {}
        for file in self.c:
            if file.room:
                for match in re.finditer(r"^[a-z][^\n;=(]*?\b(coir_\w+)\([^;{]*\)\s*\n\{", file.bare, re.MULTILINE):
                    found[match[1]] = file.room
        return found

    @cached_property
    def header_rank(self):
        """The place in ROOMS of the last room that a public header, with all that it includes, belongs to."""
        ranks = {}

        def rank(name, seen=()):
            if name in ranks or name not in self.public or name in seen:
                return ranks.get(name, -1)
            file = self.public[name]
            own = [ROOMS.index(self.definers[f]) for f, *_ in declarations(file) if f in self.definers]
            # Most of its functions decide: one may live elsewhere, such as a hook that the core calls.
            best = max(set(own), key=own.count) if own else -1
            ranks[name] = max([best, *(rank(i, (*seen, name)) for _, i in public_includes(file))])
            return ranks[name]

        for name in self.public:
            rank(name)
        return ranks


def includes(file):
    for number, line in enumerate(file.lines, 1):
        match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if match:
            yield number, match[1] or match[2]


def public_includes(file):
    for number, name in includes(file):
        if name.startswith("coir/"):
            yield number, name[len("coir/"):]
        elif file.is_public_header and (file.path.parent / name).exists():
            yield number, name


def declarations(file):
    """(name, first line, return type) of each public function, or lower-case macro, of a public header."""
    # Not part of any declaration: extern "C" {, macros alone on a line (COIR__BEGIN), the preprocessor's lines.
    text = file.bare
    for noise in [r'^[ \t]*extern[ \t]*"?[ C]*"?[ \t]*\{', r"^[A-Z_]+$", r"^[ \t]*#.*?(?<!\\)$"]:
        text = re.sub(noise, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.MULTILINE | re.DOTALL)
    depth = start = 0
    for index, char in enumerate(text):
        if char in ";{" and depth == 0:
            yield from declared(file, text, start, index)
        if char == "{":
            depth += 1
        elif char == "}":
            depth = max(depth - 1, 0)
        if char in ";{}" and depth == 0:
            start = index + 1
    for match in re.finditer(r"^#\s*define (coir_[a-z0-9_]+)\(", file.bare, re.MULTILINE):
        yield match[1], file.line_at(match.start()), "int"


def declared(file, text, start, end):
    statement = text[start:end]
    match = re.search(r"\b(coir_[a-z0-9_]+)\s*\(", statement)
    before = statement[: match.start()] if match else ""
    if not match or match[1].startswith("coir__") or re.search(r"[=(]|\b(?:typedef|struct\s+\w+\s*\{)", before):
        if not (match and "__attribute__" in before):
            return
    kind = re.sub(r"__attribute__\s*\(\(.*?\)\)|\b(?:COIR_[A-Z_]+|extern|static|inline)\b(?:\([^)]*\))?", "", before)
    first = start + len(statement) - len(statement.lstrip())
    yield match[1], file.line_at(first), " ".join(kind.split())


# --- rules ------------------------------------------------------------------------------------------------------------


def layers(tree):
    """A room uses only rooms before it, other rooms' internals only where allowed, and programs only public headers."""
    for file in tree.c:
        top = file.name.split("/")[0]
        if file.is_public_header:
            own = tree.header_rank[file.path.name]
            for number, name in public_includes(file):
                if name not in tree.public:
                    yield file, number, f"includes {name}, which is not there"
            rooms = {tree.definers[f] for f, *_ in declarations(file) if f in tree.definers}
            if rooms and own > max(ROOMS.index(room) for room in rooms):
                yield file, 1, f"belongs to {', '.join(sorted(rooms))} but includes headers of {ROOMS[own]}"
        elif file.room:
            yield from layers_of_room(tree, file)
        elif top in {"examples", "apps", "bench"}:
            for number, name in includes(file):
                if name.split("/")[0] in ROOMS or "src/" in name:
                    yield file, number, f"includes the internal header {name}; only public headers are for programs"


def layers_of_room(tree, file):
    own = ROOMS.index(file.room)
    for number, name in includes(file):
        target = (file.path.parent / name).resolve()
        if name.startswith("coir/"):
            rank = tree.header_rank.get(name[len("coir/"):], -1)
            if rank > own:
                yield file, number, f"{file.room} may not use <{name}>, which belongs to {ROOMS[rank]}"
            continue
        room = name.split("/")[0] if name.split("/")[0] in ROOMS else None
        if target.exists() and target.is_relative_to(ROOT / "src"):
            room = target.relative_to(ROOT / "src").parts[0]
        if room and room != file.room and not (room == "core" and file.room in MAY_USE_CORE_INTERNALS):
            yield file, number, f"{file.room} may not use {name}, an internal header of {room}"


def sizes(tree):
    """Files, functions and lines stay small enough to be read."""
    for file in tree.files:
        most = MOST_LINES_PUBLIC_HEADER if file.is_public_header else MOST_LINES
        if file.name.startswith("examples/") and file.path.suffix == ".c":
            most = MOST_LINES_EXAMPLE
        if file.path.suffix in SOURCES and len(file.lines) > most:
            yield file, len(file.lines), f"{len(file.lines)} lines, {most} are the most"
        if file.path.suffix in CODE:
            for number, line in enumerate(file.lines, 1):
                if len(line) > MOST_COLUMNS:
                    yield file, number, f"{len(line)} columns, {MOST_COLUMNS} are the most"
    for file in tree.c:
        opened = None
        for number, line in enumerate(file.lines, 1):
            if line == "{":
                opened = number
            elif line.startswith("}") and opened:
                if number - opened - 1 > MOST_LINES_FUNCTION:
                    yield file, opened, f"function of {number - opened - 1} lines, {MOST_LINES_FUNCTION} are the most"
                opened = None


def whitespace(tree):
    """No trailing blanks, no tabs, one line break at the end."""
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            if line != line.rstrip():
                yield file, number, "trailing blanks"
            if "\t" in line:
                yield file, number, "a tab"
        if file.text and (not file.text.endswith("\n") or file.text.endswith("\n\n")):
            yield file, len(file.lines), "has to end with one line break"


def banned_calls(tree):
    """Calls that have a better replacement, which the message names."""
    everywhere = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    library = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_IN_LIBRARY) + r")\s*\(")
    for file in tree.c:
        for match in everywhere.finditer(file.bare):
            yield file, file.line_at(match.start()), f"{match[1]} is banned: use {BANNED[match[1]]}"
        if file.room and file.room != "testing":
            for match in library.finditer(file.bare):
                yield file, file.line_at(match.start()), f"{match[1]}: a library never prints; make it a report"


def opening_comments(tree):
    """Each C file opens with a paragraph: what it owns, its invariants, who calls it."""
    for file in tree.code:
        match = re.match(r"\s*(/\*.*?\*/|(?://[^\n]*\n)+|(?:#[ #][^\n]*\n)+)", file.text, re.DOTALL)
        words = re.findall(r"\w+", match[1]) if match else []
        if len(words) < 8:
            yield file, 1, "does not open with a paragraph about what the file owns"


def nothing_left_open(tree):
    """Notes to oneself belong into the tracker."""
    for file in tree.files:
        if not file.name.startswith("docs/"):
            for number, line in enumerate(file.lines, 1):
                match = LEFT_OPEN.search(line)
                if match:
                    yield file, number, f"{match[0]} left in the tree"


def documented(tree):
    """Each public function: a comment above it with Returns (unless void), Cancel safety and Thread safety.

    Declarations that follow each other without a blank line share the comment above the first. A function x_at is the
    body of the macro x and shares its comment wherever that stands.
    """
    for file in tree.public.values():
        found = sorted(declarations(file), key=lambda d: d[1])
        names = {name for name, *_ in found}
        for name, line, kind in found:
            if name.endswith("_at") and name[: -len("_at")] in names:
                continue
            comment = comment_above(file, line)
            wanted = ["Cancel safety", "Thread safety"] + ([] if kind == "void" else ["Returns"])
            if not comment:
                yield file, line, f"{name} has no comment above it"
                continue
            for words in wanted:
                if words not in comment:
                    yield file, line, f"the comment of {name} does not say '{words}'"


def comment_above(file, line):
    """The comment at the margin above line, past other declarations and the comments of their fields."""
    ends = re.compile(r"(?=/\*| \*).*\*/\s*$")
    index = line - 2
    while index >= 0 and file.lines[index].strip() and not ends.match(file.lines[index]):
        index -= 1
    if index < 0 or not file.lines[index].strip():
        return ""
    end = index
    while index > 0 and "/*" not in file.lines[index]:
        index -= 1
    return re.sub(r"\s*\n[\s*]*", " ", "\n".join(file.lines[index : end + 1]))


def links(tree):
    """Relative links of the pages lead to files, and their anchors to headings, that exist."""
    for file in tree.files:
        if file.path.suffix == ".md":
            prose = re.sub(r"^```.*?^```", lambda m: re.sub(r"[^\n]", " ", m[0]), file.text, flags=re.M | re.S)
            prose = re.sub(r"`[^`\n]*`", lambda m: " " * len(m[0]), prose)
            for match in re.finditer(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", prose):
                problem = broken(file, match[1])
                if problem:
                    yield file, file.line_at(match.start()), problem


def broken(file, link):
    if re.match(r"[a-z]+:", link):
        return None
    name, _, anchor = link.partition("#")
    target = (file.path.parent / name).resolve() if name else file.path
    if not target.exists():
        return f"link to {link}: no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"link to {link}: no such heading"
    return None


def anchors(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", h).lower()).replace(" ", "-") for h in headings}


RULES = [layers, sizes, whitespace, banned_calls, opening_comments, nothing_left_open, documented, links]


def main():
    tree = Tree()
    count = 0
    for rule in RULES:
        for file, line, message in rule(tree):
            print(f"{file.name}:{line}: {message}")
            count += 1
    print(f"tidy: {len(tree.files)} files, {count} violations")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
