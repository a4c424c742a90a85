"""Compiles and runs the C blocks of README.md and docs/**/*.md, so that no page shows code that does not work.

Usage: snippets.py BUILD [FILE.md ...]

A block with a main(), or with tests, is linked and run, and has to exit with 0; one without is only compiled. An HTML
comment on the lines above the fence changes that:

    <!-- compile-only -->         never run (a server, an endless loop)
    <!-- fragment -->             statements: compiled as the body of a task function
    <!-- fragment CODE -->        the same, with CODE (may span lines) before the function
    <!-- exit 1 -->               the exit status to expect
    <!-- output -->               above a ```text block: what the C block before it prints, standard output first,
                                  then standard error; a line "..." stands for any lines, "..." in a line for any text
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 30
PRELUDE = "".join(
    f"#include <{name}>\n"
    for name in ["coir/coir.h", "errno.h", "signal.h", "stdio.h", "stdlib.h", "string.h"]
)
FLAGS = ["-g", "-O1", "-Wall", "-Wextra", "-Werror"]
# A page leaves out what it does not talk about.
FLAGS += [f"-Wno-unused-{what}" for what in ["parameter", "function", "variable"]]
FENCE = re.compile(
    r"^(?:<!--(?P<note>(?:(?!-->).)*)-->[ \t]*\n\s*)?```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
MAIN = re.compile(r"^(?:int main|COIR_TEST\w*)\(", re.MULTILINE)  # main comes with <coir/testing.h>


@dataclass
class Snippet:
    where: str
    line: int
    code: str
    run: bool
    exit_status: int = 0
    output: str | None = None


def program(note, body):
    """The compilable text of a block, with a #line so that errors point into the page."""
    if not note.startswith("fragment"):
        return ("" if "#include" in body else PRELUDE), body, ""
    before = PRELUDE + note[len("fragment"):] + "\nint fragment(void *arg);\nint fragment(void *arg)\n{\n"
    return before, body, "\nreturn 0;\n}\n"


def snippets_of(path):
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    found = []
    for match in FENCE.finditer(text):
        note = (match["note"] or "").strip()
        if match["language"] == "c":
            line = text.count("\n", 0, match.start("body")) + 1
            before, body, after = program(note, match["body"])
            code = f'{before}\n#line {line} "{name}"\n{body}{after}'
            run = MAIN.search(body) and note != "compile-only"
            status = re.fullmatch(r"exit (\d+)", note)
            found.append(Snippet(name, line, code, bool(run), int(status[1]) if status else 0))
        elif note == "output" and found:
            found[-1].output = match["body"]
    return found


def expected_pattern(text):
    lines = [r"(?:.*\n)*?" if line.strip() == "..." else
             ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
             for line in text.rstrip().splitlines()]
    return re.compile("".join(lines))


def libraries_of(snippet, build):
    """Those that a block needs: a header that is in a further library names it in its first comment."""
    libraries = {str(build / "src/libcoir.so"): True}
    for header in re.findall(r"^#include <coir/(\w+\.h)>", snippet.code, re.MULTILINE):
        text = (ROOT / "include/coir" / header).read_text(encoding="utf-8")
        for name in re.findall(r"libcoir-(\w+)", text[: text.index("*/")]):
            libraries[str(build / f"src/libcoir-{name}.so")] = True
    return [*libraries] + (["-ljansson"] if "<jansson.h>" in snippet.code else [])


def check(snippet, build, directory):
    """None when all is well, else what went wrong."""
    stem = f"{snippet.where.replace('/', '_')}-{snippet.line}"
    source, binary = directory / f"{stem}.c", directory / stem
    source.write_text(snippet.code, encoding="utf-8")
    command = ["gcc", *FLAGS, "-I", str(ROOT / "include"), str(source)]
    link = ["-o", str(binary), *libraries_of(snippet, build), f"-Wl,-rpath,{build / 'src'}", "-pthread"]
    command += link if snippet.run else ["-fsyntax-only"]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode != 0:
        return compiled.stderr
    if not snippet.run:
        return None
    try:
        ran = subprocess.run([str(binary)], capture_output=True, text=True, timeout=SECONDS,
                             stdin=subprocess.DEVNULL, cwd=directory)
    except subprocess.TimeoutExpired:
        return f"still runs after {SECONDS} s"
    printed = ran.stdout + ran.stderr
    if ran.returncode != snippet.exit_status:
        return f"exit status {ran.returncode}, expected {snippet.exit_status}; it printed:\n{printed}"
    if snippet.output is not None and not expected_pattern(snippet.output).fullmatch(printed.rstrip() + "\n"):
        return f"the page says:\n{snippet.output}it printed:\n{printed}"
    return None


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    pages = [pathlib.Path(name).resolve() for name in sys.argv[2:]]
    pages = pages or [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.exists()]
    snippets = [snippet for page in pages for snippet in snippets_of(page)]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(lambda snippet: check(snippet, build, pathlib.Path(name)), snippets))
    wrong = [(snippet, verdict) for snippet, verdict in zip(snippets, verdicts) if verdict]
    for snippet, verdict in wrong:
        print(f"{snippet.where}:{snippet.line}: {verdict}")
    print(f"{len(snippets)} blocks in {len(pages)} pages, {sum(s.run for s in snippets)} run, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
