"""Builds the reference and checks it against the headers, which it reads by itself and more simply than the builder.

Each public declaration has a man page and a place in the pages for a browser, with the sections that its kind needs;
every link leads somewhere; man pages pass mandoc and groff, where those are installed; and every name of the library
that a page of docs/ mentions is one.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLIC = re.compile(r"COIR__(?:PUBLIC|CHECKED)\s+([\w\s*]*?)\b(coir_[a-z0-9]\w*)\s*\(")
NAMED = re.compile(r"^#define ((?:coir|COIR)_[A-Za-z0-9]\w*)|^(?:typedef )?(?:struct|enum) (coir_[a-z0-9]\w*)(?= (?:\{|coir_\w+;))", re.M)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.repeated = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.repeated += [found["id"]] if found["id"] in self.ids else []
            self.ids.add(found["id"])
        self.links += [found[key] for key in ("href", "src") if key in found]


def declarations():
    """{name: (return type, header)} of the functions; {name: header} of macros and types."""
    functions, others = {}, {}
    for path in sorted((ROOT / "include/coir").glob("*.h")):
        text = path.read_text(encoding="utf-8")
        for match in PUBLIC.finditer(text):
            name = match[2]
            if name.endswith("_at") and re.search(rf"^#define {name[:-3]}\(", text, re.MULTILINE):
                name = name[:-3]
            functions[name] = (" ".join(match[1].split()), path.stem)
        for match in NAMED.finditer(text):
            name = match[1] or match[2]
            if not re.fullmatch(r"COIR_\w+_H|coir__\w+|COIR__\w+", name) and name not in functions:
                others.setdefault(name, path.stem)
    return functions, others


def manual_page(directory, name, seen=()):
    path = directory / f"man3/{name}.3"
    if not path.exists() or name in seen:
        return None
    text = path.read_text(encoding="utf-8")
    match = re.fullmatch(r"\.so man3/(\w+)\.3\n", text)
    return manual_page(directory, match[1], (*seen, name)) if match else text


def complete(out, pages):
    functions, others = declarations()
    if len(functions) < 200 or len(others) < 100:
        yield f"only {len(functions)} functions and {len(others)} other names found: this test reads the headers wrongly"
    for name, header in [*((n, h) for n, (_, h) in functions.items()), *others.items()]:
        text = manual_page(out / "man", name)
        if text is None:
            yield f"{name}: no man page"
            continue
        if not re.search(r"^\.SH NAME\n.* \\- \w+ \w+|^\.SH NAME\n.* \\- .{12}", text, re.MULTILINE):
            yield f"{name}: nothing says what it is"
        if not any(name in page.ids for path, page in pages.items() if "reference" in path.parts):
            yield f"{name}: not in the reference"
        if name in functions:
            yield from sections(name, functions[name][0], text)


def sections(name, kind, text):
    wanted = ["CANCEL SAFETY", "THREAD SAFETY"] + ([] if kind == "void" else ["RETURN VALUE"])
    if re.search(r"^\.SH RETURN VALUE\nReturns [01]\b", text, re.MULTILINE):
        wanted.append("ERRORS")
    for section in wanted:
        if not re.search(rf"^\.SH {section}\n\S", text, re.MULTILINE):
            yield f"{name}: its page has no {section}"


def links(out, pages):
    for path, page in pages.items():
        for name in page.repeated:
            yield f"{path}: the id {name} twice"
        for link in page.links:
            if re.match(r"https?:", link):
                continue
            target, _, anchor = link.partition("#")
            file = (out / "html" / path.parent / target).resolve() if target else out / "html" / path
            if not file.is_file():
                yield f"{path}: link to {link}: no such file"
            elif anchor and anchor not in pages[file.relative_to((out / "html").resolve())].ids:
                yield f"{path}: link to {link}: no such place"


def well_formed(out):
    files = sorted(p for p in (out / "man").rglob("*.[37]") if not p.read_text(encoding="utf-8").startswith(".so"))
    for command in (["mandoc", "-Tlint", "-W", "warning"], ["groff", "-mandoc", "-Tutf8", "-ww", "-z"]):
        if shutil.which(command[0]):
            ran = subprocess.run([*command, *map(str, files)], capture_output=True, text=True)
            yield from (ran.stdout + ran.stderr).splitlines()[:20]


def names():
    """Every coir_ and COIR_ name that a page mentions is in a header, or is a variable of the environment."""
    known = set()
    for path in (ROOT / "include/coir").glob("*.h"):
        known |= set(re.findall(r"\b(?:coir|COIR)_\w+", path.read_text(encoding="utf-8")))
    for path in [p for room in ("src", "tests", "tools") for p in (ROOT / room).rglob("*") if p.suffix in {".c", ".py"}]:
        known |= set(re.findall(r"[\"'](COIR_[A-Z_]+)", path.read_text(encoding="utf-8")))
    for path in [ROOT / "README.md", ROOT / "examples/README.md", *(ROOT / "docs").rglob("*.md")]:
        inside = "internals" in path.parts
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for code in re.findall(r"`([^`\n]+)`", text):
            for name in re.findall(r"\b((?:coir|COIR)_[A-Za-z0-9]\w*)(?!…|\w)", code):
                if name not in known and not name.endswith("_") and not inside:
                    yield f"{path.relative_to(ROOT)}: there is no {name}"


def main():
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name)
        subprocess.run([sys.executable, str(ROOT / "tools/docs/build.py"), name], check=True)
        pages = {p.relative_to(out / "html"): Page(p.read_text(encoding="utf-8")) for p in (out / "html").rglob("*.html")}
        wrong = [*complete(out, pages), *links(out, pages), *well_formed(out), *names()]
        bare = [n for n in declarations()[0] if ".SH EXAMPLES" not in (manual_page(out / "man", n) or "")]
    for line in wrong:
        print(line)
    print(f"no example shows {', '.join(sorted(bare))}")
    print(f"{len(pages)} pages, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
