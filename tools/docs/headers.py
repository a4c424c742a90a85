"""Reads the public headers: what each one declares, and what the comments say about it.

It relies on the house style and not on a C parser. A comment documents the declarations that follow it without a blank
line between; the first comment of a header is the text of its page, one that begins with "----" opens a chapter. In a
comment a blank line ends a paragraph, text that is indented by four or more is an example, and the words "Returns",
"Errors:", "Cancel safety:" and "Thread safety:" open sections. Names that begin with coir__ or COIR__ are private, and
so are fields of such names. Pages and man pages (site.py, manual.py) are made of what read() gives.
"""

import re
from dataclasses import dataclass, field

SECTIONS = ["Returns", "Errors", "Cancel safety", "Thread safety"]
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
NAME = re.compile(r"\b(?:coir|COIR)_[A-Za-z0-9]\w*")
SECTION = re.compile(
    r"(?:^|(?<=[.;:)] ))"
    r"(?:(?P<returns>Returns)(?= )|(?P<rest>(?:Errors|Cancel safety|Thread safety)"
    r"(?:, (?:Cancel safety|Thread safety))*):)")


@dataclass
class Part:
    """A piece of a comment: a paragraph, or lines that are shown as they are."""
    text: str
    code: bool = False


@dataclass
class Declaration:
    name: str
    kind: str  # function, macro, constant, type, variable
    signature: str
    void: bool = False
    public: bool = False  # carries COIR__PUBLIC or COIR__CHECKED, or is a macro over a function that does
    members: list = field(default_factory=list)  # names of enumerators
    closer: str = ""  # the function that COIR_AUTO calls for this type


@dataclass
class Entry:
    """A comment with all that it documents."""
    header: str
    line: int
    parts: list
    sections: dict  # name: text
    declarations: list
    chapter: str = ""
    purpose: str = ""  # of options, whose own comment speaks of defaults only
    automatic: list = field(default_factory=list)  # for a closer: COIR_AUTO(type), which calls it

    @property
    def name(self):
        return self.declarations[0].name

    @property
    def names(self):
        """Each once: a struct and the function that fills it share one."""
        return list(dict.fromkeys(d.name for d in self.declarations))

    @property
    def uses(self):
        """What a program that shows it contains."""
        return self.names + self.automatic

    @property
    def callable(self):
        return any(d.kind == "function" for d in self.declarations)

    @property
    def summary(self):
        """The first sentence; for options, what they are for."""
        if self.purpose:
            return self.purpose
        text = next((p.text for p in self.parts if not p.code), "") or self.sections.get("Returns", "")
        match = re.match(r"((?:\([^)]*\)|[^(])+?[.:])(?: |$)", text)
        return (match[1] if match else text).rstrip(":.") + "."


@dataclass
class Header:
    name: str  # "channel"
    title: str  # "channels carry values from task to task"
    parts: list
    entries: list
    chapters: dict  # title: parts

    @property
    def path(self):
        return f"coir/{self.name}.h"


# --- comments ---------------------------------------------------------------------------------------------------------


def comment_lines(text):
    """The lines of a comment without its frame."""
    body = re.sub(r"^/\*|\*/$", "", text)
    return [re.sub(r"^ ?\* ?", "", line) if n else line.strip() for n, line in enumerate(body.split("\n"))]


def parts_of(lines):
    """Paragraphs and examples."""
    parts, words, code = [], [], []

    def end_words():
        if words:
            parts.append(Part(" ".join(words)))
            words.clear()

    def end_code():
        while code and not code[-1].strip():
            code.pop()
        if code:
            indent = min(len(line) - len(line.lstrip()) for line in code if line.strip())
            parts.append(Part("\n".join(line[indent:].rstrip() for line in code), True))
            code.clear()

    for line in lines:
        if line.startswith("    "):
            end_words()
            code.append(line)
        elif line.strip():
            end_code()
            words.append(line.strip())
        elif code:
            code.append("")
        else:
            end_words()
    end_words()
    end_code()
    return parts


def sections_of(parts):
    """The parts before the first section, and the sections."""
    plain, sections, current = [], {}, []
    for part in parts:
        if part.code:
            plain.append(part)
            continue
        position, text = 0, part.text
        for match in SECTION.finditer(text):
            if match["returns"] and "Returns" in sections:
                continue
            before = text[position: match.start()].strip()
            add(plain, sections, current, before)
            if match["returns"]:
                current, position = ["Returns"], match.start()
                sections["Returns"] = ""
            else:
                current, position = match["rest"].split(", "), match.end()
                sections.update(dict.fromkeys(current, ""))
        add(plain, sections, current, text[position:].strip())
    return plain, {name: sections[name] for name in SECTIONS if name in sections}


def add(plain, sections, current, text):
    if not text:
        return
    if not current:
        plain.append(Part(text))
    for name in current:
        text = re.sub(r"^Returns ", "", text) if name == "Returns" else text
        sections[name] = f"{sections[name]} {text}".strip()


# --- declarations -----------------------------------------------------------------------------------------------------


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def items_of(text):
    """(kind, start, end) of each comment, directive and statement at the top level."""
    bare = LITERAL.sub(lambda m: blank(m[0]), COMMENT.sub(lambda m: blank(m[0]), text))
    found = [("comment", m.start(), m.end()) for m in COMMENT.finditer(text) if not text[: m.start()].count("\n") or
             not text[text.rfind("\n", 0, m.start()) + 1: m.start()].strip()]
    code = bare
    for match in re.finditer(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", bare, re.MULTILINE):
        found.append(("directive", match.start(), match.end()))
        code = code[: match.start()] + blank(match[0]) + code[match.end():]
    code = re.sub(r"^COIR__(?:BEGIN|END)$", lambda m: blank(m[0]), code, flags=re.MULTILINE)
    depth, start = 0, 0
    for index, char in enumerate(code):
        depth += (char == "{") - (char == "}")
        inline = char == "}" and "inline" in code[start:index]
        if depth == 0 and (char == ";" or inline):
            first = start + len(code[start:index]) - len(code[start:index].lstrip())
            if first < index:
                found.append(("statement", first, index + 1))
            start = index + 1
    inside = [(s, e) for kind, s, e in found if kind != "comment"]
    found = [f for f in found if f[0] != "comment" or not any(s < f[1] < e for s, e in inside)]
    return sorted(found, key=lambda f: f[1])


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


def parameters(text):
    """{name: declaration} of a list of parameters."""
    found, depth, start = {}, 0, 0
    for index, char in enumerate(text + ","):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            one = squeeze(text[start:index])
            match = re.search(r"\(\*(\w+)\)", one) or re.search(r"(\w+)(?:\[\w*\])?$", one)
            found[match[1] if match else one] = one
            start = index + 1
    return found


def function_of(statement):
    """(result, name, parameters) of a function's declaration, or None."""
    text = re.sub(r"^static inline\b(.*?)\{.*\}$", r"\1;", statement, flags=re.DOTALL)
    text = re.sub(r"\bCOIR__PRINTF\([^)]*\)|\bCOIR__(?:PUBLIC|CHECKED)\b", " ", text)
    match = re.match(r"\s*([\w\s*]+?[\s*])(coir_\w+)\s*\((.*)\)\s*;\s*$", text, re.DOTALL)
    if not match or match[1].split()[0] in {"typedef", "static"}:
        return None
    return squeeze(match[1]), match[2], parameters(match[3])


def join_type(kind, name):
    return kind + name if kind.endswith("*") else f"{kind} {name}"


def declared_function(statement):
    found = function_of(statement)
    if not found:
        return None
    result, name, params = found
    signature = f"{join_type(result, name)}({', '.join(params.values())});"
    return Declaration(name, "function", signature, result == "void", bool(re.search(r"COIR__(PUBLIC|CHECKED)|^static inline", statement)))


def declared_macro(text, functions):
    """A macro. One over a function of the same comment is shown as that function is called."""
    match = re.match(r"\s*#\s*define\s+(\w+)(\(([^)]*)\))?[ \t]*(.*)", text, re.DOTALL)
    name, given, body = match[1], match[3], match[4]
    if name.startswith("COIR__") or name.startswith("coir__") or re.fullmatch(r"COIR_\w+_H", name):
        return None
    if match[2] is None:
        value = squeeze(COMMENT.sub("", body.replace("\\\n", " ")))
        return Declaration(name, "constant", f"#define {name} {value}".strip())
    for result, function, params in functions:
        if re.search(rf"\b{function}\(", body) and not name.isupper():
            wanted = [p.strip() for p in given.split(",")]
            # The text of coir_fail(code, ...) is one of the arguments behind the names.
            shown = ["const char *format, ..." if p == "..." and "format" in params else params.get(p, p) for p in wanted]
            signature = f"{join_type(result, name)}({', '.join(shown)});"
            return Declaration(name, "function", signature, result == "void", True)
    return Declaration(name, "macro", f"{name}({given})")


def declared_type(text):
    """A struct, an enum or another typedef, without private fields."""
    bare = COMMENT.sub(lambda m: blank(m[0]), text)
    match = re.search(r"}\s*(\w+)\s*;$", bare) or re.match(r"(?:struct|enum|union)\s+(\w+)\s*\{", bare)
    match = match or re.search(r"\(\*(\w+)\)", bare) or re.search(r"(\w+)\s*;$", bare)
    name = match[1] if match else ""
    if not re.match(r"coir_[a-z0-9]", name) or not re.match(r"(?:typedef|struct|enum|union)\b", bare):
        return None
    if re.fullmatch(r"(?:struct|enum|union) \w+;", bare):
        return None  # a name that another header explains
    members = re.findall(r"^\s*(COIR_[A-Z0-9]\w*)\s*[,=}/]", bare, re.MULTILINE) if bare.find("enum") in {0, 8} else []
    return Declaration(name, "type", without_private(text), members=members)


def without_private(text):
    """A type without the fields that begin with coir__, and the comments behind them."""
    if "{" not in text:
        return text
    head, body = text.split("{", 1)
    body, tail = body.rsplit("}", 1)
    pieces, hidden = [], False
    # A field: the comment lines before it, its text up to the semicolon or comma, a comment on the same line.
    for match in re.finditer(r"(?:\s*/\*.*?\*/\s*?\n)*[^;,\n/]*(?:\([^)]*\)[^;,\n]*)*(?:[;,]|\n|$)(?:[^;\n/]*;)?"
                             r"(?:[ \t]*/\*.*?\*/)?", body, re.DOTALL):
        piece = match[0]
        if "coir__" in COMMENT.sub("", piece):
            hidden = True
        else:
            pieces.append(piece)
    inner = re.sub(r"\n\s*\n+", "\n", "".join(pieces)).rstrip()
    if not inner.strip():
        return f"{head}{{ /* private */ }}{tail}"
    return f"{head}{{{inner}\n    /* private fields */\n}}{tail}" if hidden else f"{head}{{{inner}\n}}{tail}"


# --- headers ----------------------------------------------------------------------------------------------------------


def read_header(path):
    text = path.read_text(encoding="utf-8")
    items = items_of(text)
    name = path.stem
    first = comment_lines(text[items[0][1]: items[0][2]])
    opening = parts_of(first)
    title = re.sub(rf"^coir/{name}\.h: ", "", opening[0].text if opening else "")
    header = Header(name, title, opening[1:], [], {})
    chapter, comment, block, end, entries = "", None, [], items[0][2], []
    for kind, start, stop in items[1:]:
        if text.count("\n", end, start) > 1 or kind == "comment":
            flush(header, text, comment, block, chapter, entries)
            comment, block = None, []
        if kind == "comment":
            lines = comment_lines(text[start:stop])
            match = re.match(r"---- (.*?) ----", lines[0])
            if match:
                chapter = match[1]
                header.chapters[chapter] = parts_of(lines[1:])
            else:
                comment = (start, lines)
        else:
            block.append((kind, start, stop))
        end = stop
    flush(header, text, comment, block, chapter, entries)
    header.entries = [e for e in entries if e.declarations]
    for type_name, closer in re.findall(r"^COIR_CLOSER(?:_VALUE)?\((\w+), (\w+)\);", text, re.MULTILINE):
        for entry in header.entries:
            for declaration in entry.declarations:
                if declaration.name == type_name:
                    declaration.closer = closer
                if declaration.name == closer:
                    entry.automatic.append(f"COIR_AUTO({type_name})")
    return header


def flush(header, text, comment, block, chapter, entries):
    """Makes an entry of a comment and the items below it. Without a comment an entry is there, but says nothing."""
    functions = [f for kind, s, e in block if kind == "statement" and (f := function_of(text[s:e]))]
    found = []
    for kind, start, stop in block:
        piece = text[start:stop]
        if kind == "directive" and re.match(r"\s*#\s*define\b", piece):
            found.append(declared_macro(piece, functions))
        elif kind == "statement":
            found.append(declared_function(piece) or declared_type(piece))
    found = [d for d in found if d]
    macros = {d.name for d in found if d.kind != "type"}
    # x_at is the body of the macro x and nothing to call; a struct that was named before is one type with its name.
    found = [d for d in found if not (d.name.endswith("_at") and d.name[:-3] in macros) and
             not (d.kind == "function" and d.name.startswith("coir__"))]
    if not found:
        return
    start, lines = comment or (block[0][1], [])
    parts, sections = sections_of(parts_of(lines))
    entries.append(Entry(header.name, text.count("\n", 0, start) + 1, parts, sections, found, chapter))


def error_codes(header, text):
    """The table of codes as the members of its enum, which is shown as it is seen by a program."""
    rows = re.findall(r'X\((COIR_\w+),\s*(\d+),\s*"([^"]*)"\)', text)
    width = max(len(f"{name} = {value},") for name, value, _ in rows)
    lines = [f"    {f'{name} = {value},':{width}} /* {meaning} */" for name, value, meaning in rows]
    for entry in header.entries:
        for declaration in entry.declarations:
            if declaration.name == "coir_code":
                declaration.signature = "\n".join(["enum coir_code {", *lines, "};"])
                declaration.members = [name for name, *_ in rows]


def read(directory):
    """All public headers, in the order of their names, without those that declare nothing for programs."""
    headers = [read_header(path) for path in sorted(directory.glob("*.h"))]
    error_codes(next(h for h in headers if h.name == "error"), (directory / "error.h").read_text(encoding="utf-8"))
    complete = {d.name for h in headers for e in h.entries for d in e.declarations if "{" in d.signature}
    for header in headers:
        for entry in header.entries:  # struct x is announced where it is first used, and shown where it is complete
            entry.declarations = [d for d in entry.declarations if "{" in d.signature or d.kind != "type"
                                  or d.name not in complete]
        header.entries = [e for e in header.entries if e.declarations]
        name_options(header)
    return [h for h in headers if h.entries]


def name_options(header):
    functions = [d for e in header.entries for d in e.declarations if d.kind == "function"]
    for entry in header.entries:
        if entry.name.endswith("_opts") and entry.parts and entry.parts[0].text.startswith("Zero means"):
            users = [f.name for f in functions if f"const {entry.name} *" in f.signature]
            if users:
                entry.purpose = f"Options for {', '.join(users)}."
