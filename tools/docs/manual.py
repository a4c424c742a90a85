"""Writes the man pages: one for each comment of a header, with the names that it documents, and one for each header.

Section 3 has the functions, macros and types, where further names of a page are files that include it (.so); section 7
has coir-HEADER for what a header says about its whole, and coir for the list of all.
"""

import re

SOURCE = "coir"
TITLES = {"Returns": "RETURN VALUE", "Errors": "ERRORS", "Cancel safety": "CANCEL SAFETY", "Thread safety": "THREAD SAFETY"}
CODE = re.compile(r"(-?\b(?:COIR_[A-Z0-9]\w*|E[A-Z0-9]{3,}|NULL|SIG[A-Z0-9]+)\b(?:\([^()]*\))?)")
CALL = re.compile(r"\b(coir_[a-z0-9]\w*)\b")


def escaped(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...").replace("·", "\\(md")


def safe(line):
    """A line of text must not begin like a request."""
    return "\\&" + line if line.startswith((".", "'", "\\(aq")) else line


def prose(text):
    """Running text: one sentence on a line, names in bold."""
    text = escaped(text)
    text = re.sub(r"(\\-)?\b((?:coir_[a-z0-9]|COIR_[A-Z0-9])\w*)", r"\\fB\1\2\\fP", text)
    sentences = re.sub(r"([.:;)])\s+(?=[A-Z\\(\"])", r"\1\n", text)
    return "\n".join(safe(line) for line in sentences.split("\n"))


def code(text, indent=True):
    lines = [safe(escaped(line)) for line in text.split("\n")]
    body = "\n".join([".nf", *lines, ".fi"])
    return f".RS 4\n{body}\n.RE" if indent else body


def parts(found):
    out = []
    for part in found:
        out += [".PP"] if out else []
        out.append(code(part.text) if part.code else prose(part.text))
    return out


def wrapped(signature, width=72):
    """A function's declaration, broken behind commas below its first parameter."""
    if "\n" in signature or len(signature) <= width:
        return signature
    indent = signature.index("(") + 1
    indent = indent if indent < 40 else 8
    lines, line = [], ""
    for piece in re.split(r"(?<=,) (?![^(]*\)[,)])", signature):
        if line and len(line) + 1 + len(piece) > width:
            lines.append(line)
            line = " " * indent + piece
        else:
            line = f"{line} {piece}" if line else piece
    return "\n".join([*lines, line])


class Manual:
    def __init__(self, headers, samples, version, date):
        self.headers, self.samples, self.version, self.date = headers, samples, version, date
        self.page_of = {name: entry.name for h in headers for entry in h.entries for name in entry.names}
        self.page_of |= {member: e.name for h in headers for e in h.entries for d in e.declarations for member in d.members}

    def head(self, name, section):
        return f'.TH {name} {section} {self.date} "{SOURCE} {self.version}" "coir manual"'

    def pages(self):
        """{path: text} of all of them."""
        found = {"man7/coir.7": self.overview()}
        for header in self.headers:
            found[f"man7/coir-{header.name}.7"] = self.header_page(header)
            for entry in header.entries:
                found[f"man3/{entry.name}.3"] = self.entry_page(header, entry)
                for name in entry.names[1:]:
                    found[f"man3/{name}.3"] = f".so man3/{entry.name}.3\n"
        return found

    def entry_page(self, header, entry):
        names = ", ".join(escaped(n) for n in entry.names)
        out = [self.head(entry.name, 3), ".SH NAME", f"{names} \\- {escaped(entry.summary.rstrip('.'))}", ".SH SYNOPSIS",
               ".nf", f".B #include <{header.path}>", ".PP"]
        out += [safe(escaped(wrapped(d.signature))) for d in entry.declarations]
        out += [".fi", ".SH DESCRIPTION", *parts([p for p in entry.parts if not self.is_example(entry, p)])]
        for declaration in entry.declarations:
            if declaration.closer:
                out += [".PP", prose(f"COIR_AUTO({declaration.name}) closes it at the end of the block, by "
                                     f"{declaration.closer}.")]
        for name, text in entry.sections.items():
            text = f"Returns {text}" if name == "Returns" else text[:1].upper() + text[1:]
            out += [f".SH {TITLES[name]}", prose(text)]
        out += self.examples(entry)
        return "\n".join(out + [".SH SEE ALSO", self.see_also(header, entry)]) + "\n"

    @staticmethod
    def is_example(entry, part):
        return part.code and entry.callable and ";" in part.text

    def examples(self, entry):
        out = [x for p in entry.parts if self.is_example(entry, p) for x in (".PP", code(p.text))]
        sample = self.samples.of(entry.uses) if entry.callable else None
        if sample:
            out += [".PP", f"From {escaped(sample.source)}:", ".PP", code(sample.text)]
        return [".SH EXAMPLES", *out[1:]] if out else []

    def see_also(self, header, entry):
        texts = [p.text for p in entry.parts] + list(entry.sections.values())
        texts += [d.signature for d in entry.declarations if d.kind == "function"]
        used = {self.page_of[n] for t in texts for n in re.findall(r"\b(?:coir|COIR)_\w+", t) if n in self.page_of}
        if not entry.callable:  # of a type: what it is used with
            used |= {e.name for e in header.entries for d in e.declarations if d.kind == "function"
                     and any(re.search(rf"\b{n}\b", d.signature) for n in entry.names)}
        used.discard(entry.name)
        pages = [f".BR {escaped(n)} (3)" for n in sorted(used)] + [f".BR coir\\-{header.name} (7)"]
        return " ,\n".join(pages)

    def header_page(self, header):
        name = f"coir-{header.name}"
        out = [self.head(name, 7), ".SH NAME", f"{escaped(name)} \\- {escaped(header.title.rstrip('.'))}", ".SH SYNOPSIS",
               f".B #include <{header.path}>"]
        if header.parts:
            out += [".SH DESCRIPTION", *parts(header.parts)]
        chapter = ""
        out.append(".SH CONTENTS")
        for entry in header.entries:
            if entry.chapter != chapter:
                chapter = entry.chapter
                out += [f".SS {escaped(chapter)}", *parts(header.chapters[chapter])]
            out += [".TP", f".BR {escaped(entry.name)} (3)", prose(entry.summary)]
        return "\n".join(out + [".SH SEE ALSO", ".BR coir (7)"]) + "\n"

    def overview(self):
        out = [self.head("coir", 7), ".SH NAME", "coir \\- stackful coroutines and structured concurrency for C",
               ".SH SYNOPSIS", ".B #include <coir/coir.h>", ".PP", "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs coir)",
               ".SH DESCRIPTION",
               prose("A task is a C function with a stack of its own; thousands of them run on one thread. Every task is "
                     "owned by a group, every wait can be cancelled and bounded by a deadline. The headers:")]
        for header in self.headers:
            out += [".TP", f".BR coir\\-{header.name} (7)", prose(header.title[:1].upper() + header.title[1:])]
        out += [".SH RETURN VALUE",
                prose("Calls return 0, or a negative code: \\-errno, or one of coir_code. A call that waits and was "
                      "cancelled gives \\-ECANCELED, past a deadline \\-ETIME; it has done nothing then, unless its page "
                      "says otherwise under CANCEL SAFETY.").replace("\\e\\-", "\\-"),
                ".SH SEE ALSO", ".BR coir\\-task (7) ,\n.BR coir\\-group (7) ,\n.BR coir\\-scope (7) ,\n.BR coir_main (3)"]
        return "\n".join(out) + "\n"
