"""Writes the pages for a browser: one for each header, the guide, the examples, and an index with a search by name.

Every page works from a file: all links are relative, and the search reads a list that is a script. Names in code and in
text lead to where they are explained.
"""

import html
import json
import posixpath
import re

from manual import Manual, wrapped
from markdown import Markdown

# The order of the guide; a header that is not named here is listed at the end.
GROUPS = {
    "Tasks": ["base", "task", "group", "scope", "completions", "race", "error"],
    "Meeting": ["channel", "queue", "broadcast", "watch", "future", "generator", "select"],
    "Taking turns": ["lock", "rwlock", "event", "condition", "semaphore", "capacity", "barrier", "singleflight"],
    "Input and output": ["tcp", "stream", "stream_pair", "pipe", "filter", "socket", "address", "descriptor", "signal"],
    "Loops and threads": ["loop", "threads", "memory"],
    "Resilience": ["retry", "limiter", "breaker", "service", "drain"],
    "Tests": ["testing", "testing_streams"],
}
ASSETS = ["style.css", "search.js"]
KEYWORDS = set("""auto bool break case char const continue default do double else enum extern false float for goto if
inline int long NULL return short signed sizeof static struct switch true typedef union unsigned void volatile while
""".split())
TOKEN = re.compile(r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|
(?P<word>\b[A-Za-z_]\w*\b)|(?P<directive>^\#\w+[^\n]*)""", re.DOTALL | re.MULTILINE | re.VERBOSE)
WORD = re.compile(r"&lt;(coir/(\w+)\.h)&gt;|-?\b(?:coir|COIR)_[A-Za-z0-9]\w*(?:…|\([^()\s]*\))?|"
                  r"-E[A-Z0-9]{2,}\b|\bNULL\b|\*ret_\w+")
PAGES = ["README.md", "CONTRIBUTING.md", "examples/README.md", "bench/README.md", "apps/pulse/README.md"]


class Site:
    def __init__(self, root, headers, samples, version):
        self.root, self.headers, self.samples, self.version = root, headers, samples, version
        self.where, self.groups = {}, self.grouped()
        for header in headers:
            for entry in header.entries:
                for declaration in entry.declarations:
                    for name in [declaration.name, *declaration.members]:
                        self.where.setdefault(name, f"reference/{header.name}.html#{name}")
        self.documents = [p for p in PAGES if (root / p).exists()]
        self.documents += sorted((p.relative_to(root).as_posix() for p in (root / "docs").rglob("*.md")),
                                 key=lambda name: (posixpath.dirname(name), "README" not in name, name))
        self.outputs = {name: self.output(name) for name in [*self.documents, *samples.programs]}
        self.titles = {}

    @staticmethod
    def output(source):
        """Where a file of the repository is shown. The README is the first page."""
        if source == "README.md":
            return "index.html"
        name = re.sub(r"\.(?:md|c)$", ".html", re.sub(r"^docs/", "", source))
        return name.replace("README.html", "index.html") if "/" in name else f"project/{name}"

    def grouped(self):
        known = {h.name: h for h in self.headers}
        groups = {title: [known[n] for n in names if n in known] for title, names in GROUPS.items()}
        listed = {n for names in GROUPS.values() for n in names}
        rest = [h for h in self.headers if h.name not in listed]
        return {title: found for title, found in [*groups.items(), ("More", rest)] if found}

    # ---- pieces ----

    def relative(self, page, target):
        path, _, anchor = target.partition("#")
        path = posixpath.relpath(path, posixpath.dirname(page) or ".")
        return f"{path}#{anchor}" if anchor else path

    def linked(self, page, name, shown=None):
        shown = html.escape(shown or name, quote=False)
        return f'<a href="{self.relative(page, self.where[name])}">{shown}</a>' if name in self.where else shown

    def code(self, page, text, anchors=()):
        """C with its comments, strings and keywords marked, and known names as links; anchors become targets."""
        out, position = [], 0
        for match in TOKEN.finditer(text):
            out.append(html.escape(text[position: match.start()], quote=False))
            position = match.end()
            kind, word = match.lastgroup, html.escape(match[0], quote=False)
            if kind == "word" and match[0] in anchors:
                out.append(f'<span id="{word}">{word}</span>')
            elif kind == "word" and match[0] in KEYWORDS:
                out.append(f"<b>{word}</b>")
            elif kind == "word":
                out.append(self.linked(page, match[0]))
            else:
                out.append(f'<span class="{kind}">{word}</span>')
        return "".join(out) + html.escape(text[position:], quote=False)

    def block(self, page, text):
        return f"<pre><code>{self.code(page, text)}</code></pre>"

    def prose(self, page, text):
        """Text of a comment: names as links, and what looks like code set as code."""
        def name(match):
            if match[1]:
                known = any(h.name == match[2] for h in self.headers)
                target = self.relative(page, f"reference/{match[2]}.html")
                return f'<a href="{target}"><code>{match[0]}</code></a>' if known else f"<code>{match[0]}</code>"
            inner = re.match(r"(-?)(\w*)(.*)", match[0])
            link = self.linked(page, inner[2]) if inner[2] in self.where else inner[2]
            return f'<code class="name">{inner[1]}{link}{inner[3]}</code>'

        return WORD.sub(name, html.escape(text, quote=False))

    def parts(self, page, parts):
        return "\n".join(self.block(page, p.text) if p.code else f"<p>{self.prose(page, p.text)}</p>" for p in parts)

    def frame(self, page, title, body, section):
        def item(target, text):
            here = ' class="here"' if target == page else ""
            return f'<li><a href="{self.relative(page, target)}"{here}>{html.escape(text)}</a></li>'

        menu = []
        if section == "reference":
            for group, headers in self.groups.items():
                menu.append(f"<h2>{group}</h2><ul>" + "".join(
                    item(f"reference/{h.name}.html", h.name) for h in headers) + "</ul>")
        else:
            for group, names in self.reading().items():
                menu.append(f"<h2>{group}</h2><ul>" + "".join(
                    item(self.outputs[n], self.titles[n]) for n in names) + "</ul>")
        top = "".join(f'<a href="{self.relative(page, target)}"{" class=here" if section == key else ""}>{text}</a>'
                      for key, target, text in [("tutorial", "tutorial/index.html", "Tutorial"),
                                                ("guide", "guide/index.html", "Guide"),
                                                ("reference", "reference/index.html", "Reference"),
                                                ("examples", "examples/index.html", "Examples")])
        up = self.relative(page, "index.html")
        base = posixpath.dirname(up)
        base = f"{base}/" if base else ""
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(re.sub("[`*]", "", title))} · coir</title>
<link rel="stylesheet" href="{base}style.css">
</head>
<body>
<header>
<a class="brand" href="{up}">coir</a>
<nav>{top}</nav>
<div class="search"><input id="search" type="search" placeholder="Search names  ( / )" autocomplete="off"
aria-label="Search names" data-base="{base}"><ol id="results" hidden></ol></div>
</header>
<div class="columns">
<details class="menu" open><summary>Contents</summary>{"".join(menu)}</details>
<main>
{body}
</main>
</div>
<footer>coir {self.version}</footer>
<script src="{base}names.js"></script>
<script src="{base}search.js"></script>
</body>
</html>
"""

    # ---- the reference ----

    def header_page(self, header):
        page = f"reference/{header.name}.html"
        out = [f"<h1>{html.escape(header.path)}</h1>", f'<p class="lead">{self.prose(page, self.title(header))}</p>',
               f'<pre class="include"><code>#include &lt;{header.path}&gt;</code></pre>', self.parts(page, header.parts)]
        out.append('<h2 id="contents">Contents</h2><div class="wide"><table class="contents">')
        for entry in header.entries:
            names = ", ".join(f'<a href="#{n}">{n}</a>' for n in entry.names)
            out.append(f"<tr><td><code>{names}</code></td><td>{self.prose(page, entry.summary)}</td></tr>")
        out.append("</table></div>")
        chapter = ""
        for entry in header.entries:
            if entry.chapter != chapter:
                chapter = entry.chapter
                out.append(f"<h2>{html.escape(chapter[:1].upper() + chapter[1:])}</h2>")
                out.append(self.parts(page, header.chapters[chapter]))
            out.append(self.entry(page, entry))
        return page, self.frame(page, header.path, "\n".join(out), "reference")

    @staticmethod
    def title(header):
        return header.title[:1].upper() + header.title[1:]

    def entry(self, page, entry):
        out = [f'<section class="entry" id="{entry.name}">']
        out += [f'<span id="{n}"></span>' for n in entry.names[1:]]
        heading = ", ".join(entry.names[:4]) + (", …" if len(entry.names) > 4 else "")
        out.append(f'<h3><a href="#{entry.name}">{heading}</a></h3>')
        shown = "\n".join(self.code(page, wrapped(d.signature, 88), d.members) for d in entry.declarations)
        out.append(f'<pre class="signature"><code>{shown}</code></pre>')
        examples = [p for p in entry.parts if Manual.is_example(entry, p)]
        out.append(self.parts(page, [p for p in entry.parts if p not in examples]))
        for declaration in entry.declarations:
            if declaration.closer:
                out.append(f"<p>{self.prose(page, f'COIR_AUTO({declaration.name})')} closes it at the end of the block, "
                           f"by {self.prose(page, declaration.closer)}.</p>")
        if entry.sections:
            rows = "".join(f"<dt>{name}</dt><dd>{self.prose(page, text)}</dd>" for name, text in entry.sections.items())
            out.append(f"<dl>{rows}</dl>")
        out += [self.block(page, p.text) for p in examples]
        out.append(self.sample(page, entry))
        return "\n".join([*[o for o in out if o], "</section>"])

    def sample(self, page, entry):
        if not entry.callable:
            return ""
        sample, users = self.samples.of(entry.uses), self.samples.users(entry.uses)

        def link(name):
            return f'<a href="{self.relative(page, self.outputs[name])}">{posixpath.basename(name)}</a>'

        out = []
        if sample:
            out.append(f"<details><summary>Example, from {posixpath.basename(sample.source)}</summary>"
                       f"{self.block(page, sample.text)}</details>")
            if sample.source not in users:
                users = [sample.source, *users]
        if users:
            more = f" and {len(users) - 6} more" if len(users) > 6 else ""
            out.append(f'<p class="users">Used in {", ".join(link(u) for u in users[:6])}{more}</p>')
        return "\n".join(out)

    def reference_index(self):
        page = "reference/index.html"
        lead = "<coir/coir.h> includes what most programs use. The others, such as those for tests, are included by name."
        out = ["<h1>Reference</h1>", f"<p>{self.prose(page, lead)}</p>"]
        for group, headers in self.groups.items():
            out.append(f'<h2>{group}</h2><div class="wide"><table class="contents">')
            for header in headers:
                out.append(f'<tr><td><a href="{header.name}.html"><code>{header.path}</code></a></td>'
                           f"<td>{self.prose(page, self.title(header))}</td></tr>")
            out.append("</table></div>")
        out.append('<h2 id="names">All names</h2><p class="names">')
        out.append(" ".join(f"<code>{self.linked(page, n)}</code>" for n in sorted(self.where, key=str.lower)) + "</p>")
        return page, self.frame(page, "Reference", "\n".join(out), "reference")

    # ---- the guide and the examples ----

    def reading(self):
        guide = [n for n in self.documents if n.startswith("docs/guide/")]
        order = re.findall(r"\]\(([\w-]+)\.md\)", (self.root / "docs/guide/README.md").read_text(encoding="utf-8"))
        guide.sort(key=lambda n: order.index(n[11:-3]) if n[11:-3] in order else -1 if "README" in n else len(order))
        found = {"Tutorial": [n for n in self.documents if n.startswith("docs/tutorial")], "Guide": guide,
                 "Project": [n for n in self.documents if not n.startswith("docs/")],
                 "Inside": [n for n in self.documents if n.startswith("docs/internals/")]}
        return {title: names for title, names in found.items() if names}

    def markdown(self, source):
        page = self.outputs[source]

        def link(target):
            if re.match(r"[a-z]+:", target):
                return target
            name, _, anchor = target.partition("#")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name)) if name else source
            for candidate in [path, f"{path}/README.md"]:
                if candidate in self.outputs:
                    return self.relative(page, self.outputs[candidate] + (f"#{anchor}" if anchor else ""))
            return None

        def name(text):
            inner = re.sub(r"\b(?:coir|COIR)_\w+", lambda m: self.linked(page, m[0]), html.escape(text, quote=False))
            return f"<code>{inner}</code>"

        writer = Markdown(link, lambda text: self.block(page, text), name)
        return writer.page((self.root / source).read_text(encoding="utf-8"))

    def document(self, source, body):
        page = self.outputs[source]
        section = next((s for s in ("tutorial", "examples") if s in source.split("/")), "guide")
        return page, self.frame(page, self.titles[source], body, section)

    def program(self, source):
        page = self.outputs[source]
        printed = self.root / (source[:-2] + ".out")
        body = f"<h1>{source}</h1>{self.block(page, self.samples.programs[source].rstrip())}"
        if printed.exists():
            body += f"<h2>It prints</h2><pre>{html.escape(printed.read_text(encoding='utf-8').rstrip(), quote=False)}</pre>"
        return page, self.frame(page, source, body, "examples")

    # ---- all ----

    def pages(self):
        bodies = {}
        for source in self.documents:
            self.titles[source], bodies[source] = self.markdown(source)
            self.titles[source] = re.sub(r"[`*]", "", self.titles[source])
        found = [self.header_page(header) for header in self.headers]
        found += [self.reference_index()]
        found += [self.document(source, body) for source, body in bodies.items()]
        found += [self.program(source) for source in self.samples.programs]
        names = [[name, target, self.summary_of(name)] for name, target in sorted(self.where.items())]
        names += [[self.titles[s], self.outputs[s], "page"] for s in self.documents]
        directory = self.root / "tools/docs"
        assets = {name: (directory / name).read_text(encoding="utf-8") for name in ASSETS}
        return dict(found) | assets | {"names.js": f"const coirNames = {json.dumps(names, ensure_ascii=False)};\n"}

    def summary_of(self, name):
        for header in self.headers:
            for entry in header.entries:
                if any(name == d.name or name in d.members for d in entry.declarations):
                    return entry.summary
        return ""
