"""Turns the pages of docs/ into HTML: the part of Markdown that they use, and no more.

Headings, paragraphs, lists, tables, fenced blocks, links, code, emphasis. Comments of HTML, which tell the tests what a
block prints, are left out. The caller says what a link leads to and how a block of C looks.
"""

import html
import re


def slug(heading):
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-")


class Markdown:
    def __init__(self, link, block, name):
        """link(target): the address to write, or None; block(text): C as HTML; name(text): inline code as HTML."""
        self.link, self.block, self.name = link, block, name

    def inline(self, text):
        kept = []

        def keep(rendered):
            kept.append(rendered)
            return f"\0{len(kept) - 1}\0"

        def link(match):
            address = self.link(match[2])
            return keep(f'<a href="{html.escape(address)}">') + match[1] + keep("</a>") if address else match[1]

        text = re.sub(r"`([^`]+)`", lambda m: keep(self.name(m[1])), text)
        text = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)
        text = html.escape(text, quote=False)
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
        text = re.sub(r"(?<![\w*])\*([^*\s][^*]*?)\*(?![\w*])", r"<em>\1</em>", text)
        return re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], text)

    def page(self, text):
        """(title, HTML) of a page."""
        fences = []
        text = re.sub(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", lambda m: self.fence(fences, m), text, flags=re.M | re.S)
        text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
        lines = text.split("\n")
        title = next((line[2:] for line in lines if line.startswith("# ")), "")
        body = "\n".join(self.blocks(lines))
        return title, re.sub(r"\x01(\d+)\x01", lambda m: fences[int(m[1])], body)

    def fence(self, fences, match):
        body = match[2].rstrip("\n")
        fences.append(self.block(body) if match[1] == "c" else f"<pre>{html.escape(body, quote=False)}</pre>")
        return f"\x01{len(fences) - 1}\x01"

    def blocks(self, lines):
        index = 0
        while index < len(lines):
            line = lines[index]
            if not line.strip():
                index += 1
            elif line.startswith("\x01"):
                yield line.strip()
                index += 1
            elif match := re.match(r"(#+) (.*)", line):
                level = len(match[1])
                yield f'<h{level} id="{slug(match[2])}">{self.inline(match[2])}</h{level}>'
                index += 1
            elif line.startswith("|"):
                end = self.until(lines, index, lambda x: not x.startswith("|"))
                yield self.table(lines[index:end])
                index = end
            elif re.match(r"(?:-|\d+\.) ", line):
                end = self.until(lines, index, lambda x: x.strip() and not re.match(r"(?:-|\d+\.) | ", x))
                while not lines[end - 1].strip():
                    end -= 1
                yield self.list(lines[index:end])
                index = end
            else:
                end = self.until(lines, index, lambda x: not x.strip() or x[0] in "|#\x01" or re.match(r"- ", x))
                yield f"<p>{self.inline(' '.join(lines[index:end]))}</p>"
                index = end

    @staticmethod
    def until(lines, index, stop):
        index += 1
        while index < len(lines) and not stop(lines[index]):
            index += 1
        return index

    def table(self, lines):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
        rows = [[c.replace("\\|", "|") for c in row] for row in rows]
        head, body = rows[0], rows[2:]
        out = ["<div class=\"wide\"><table>"]
        if any(head):
            out.append("<tr>" + "".join(f"<th>{self.inline(c)}</th>" for c in head) + "</tr>")
        out += ["<tr>" + "".join(f"<td>{self.inline(c)}</td>" for c in row) + "</tr>" for row in body]
        return "\n".join([*out, "</table></div>"])

    def list(self, lines):
        kind = "ol" if lines[0][0].isdigit() else "ul"
        items = []
        for line in lines:
            match = re.match(r"(?:-|\d+\.) (.*)", line)
            if match:
                items.append([match[1]])
            else:
                items[-1].append(line[2:] if line.startswith("  ") else line)
        return f"<{kind}>" + "\n".join(f"<li>{self.item(i)}</li>" for i in items) + f"</{kind}>"

    def item(self, lines):
        lines = [line.lstrip() if not line.lstrip().startswith("\x01") else line.strip() for line in lines]
        found = list(self.blocks(lines))
        if len(found) == 1 and found[0].startswith("<p>"):
            return found[0][3:-4]
        return "\n".join(found)
