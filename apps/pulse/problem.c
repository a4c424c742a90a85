/* problem.c: says what is wrong with a targets file, see problem.h.
 *
 * Values are shown cut to a length that fits on a line, and without the characters that a terminal
 * would obey.
 */
#include "problem.h"
#include "value.h"

#include <stdarg.h>
#include <string.h>

enum { PROBLEMS_MOST = 20, VALUE_SHOWN = 60 };

/* Counts a problem and, unless there were many already, begins its line. line is 1 for the
 * first. */
static bool begin_problem(struct problems *problems, size_t line)
{
    if (++problems->count > PROBLEMS_MOST)
        return false;
    fprintf(problems->report, "%s:%zu: ", problems->path, line);
    return true;
}

static void show_text(struct problems *problems, const char *text, size_t length)
{
    size_t shown = length <= VALUE_SHOWN ? length : VALUE_SHOWN;
    while (shown < length && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    bool plain = is_plain_text(text, shown);
    fputc('\'', problems->report);
    for (size_t i = 0; i < shown; i++)
        fputc(plain || (text[i] >= ' ' && text[i] <= '~') ? text[i] : '?', problems->report);
    fputs(shown < length ? "...'" : "'", problems->report);
}

static void show_value(struct problems *problems, const yaml_node_t *node)
{
    fputs("value ", problems->report);
    if (node->type == YAML_SCALAR_NODE)
        show_text(problems, (const char *)node->data.scalar.value, node->data.scalar.length);
    else
        fputs(node->type == YAML_SEQUENCE_NODE ? "is a list" : "is a mapping", problems->report);
}

void problem(struct problems *problems, size_t line, const char *key, const yaml_node_t *value,
             const char *expected, ...)
{
    if (!begin_problem(problems, line))
        return;
    fputs("key ", problems->report);
    show_text(problems, key, strlen(key));
    fputs(": ", problems->report);
    if (value)
        show_value(problems, value);
    else
        fputs("missing", problems->report);
    fputs(": expected ", problems->report);
    va_list arguments;
    va_start(arguments, expected);
    vfprintf(problems->report, expected, arguments);
    va_end(arguments);
    fputc('\n', problems->report);
}

void problem_syntax(struct problems *problems, const yaml_parser_t *parser, const char *text,
                    size_t length)
{
    size_t line = parser->problem_mark.line + 1, begin = 0, left = parser->problem_mark.line;
    if (parser->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < length; i++)
            line += text[i] == '\n';
        left = line - 1;
    }
    for (; left > 0 && begin < length; begin++)
        left -= text[begin] == '\n';
    if (!begin_problem(problems, line))
        return;
    fputs("line ", problems->report);
    begin += strspn(text + begin, " ");
    show_text(problems, text + begin, strcspn(text + begin, "\r\n"));
    fprintf(problems->report, ": expected YAML: %s\n",
            parser->problem ? parser->problem : "no memory");
}

int problems_end(const struct problems *problems)
{
    if (problems->count > PROBLEMS_MOST)
        fprintf(problems->report, "%s: and %d more\n", problems->path,
                problems->count - PROBLEMS_MOST);
    return problems->count;
}
