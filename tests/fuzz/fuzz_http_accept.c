/* fuzz_http_accept.c: lines as the values of Accept-Encoding, and which coding they choose.
 * Libraries: http Sources: src/http
 *
 * Besides what sanitizers see: what is chosen is wanted, and as much as anything else; plain bytes
 * are refused only by their name or by a star; several headers say what one with commas says; and
 * where all is as the grammar of RFC 9110 has it, a reader of its own has the same qualities.
 */
#include "fuzz.h"

#include <regex.h>
#include <stdio.h>
#include <strings.h>

#include "http/server/app.h"

static coir_http_request request; /* of which only the headers are looked at */

static void get_qualities(char *const *values, size_t count, unsigned quality[COIR__HTTP_CODINGS])
{
    static coir_http_header headers[COIR__HTTP_HEADERS + 1];
    for (size_t i = 0; i < count; i++)
        headers[i] = (coir_http_header){"Accept-Encoding", values[i]};
    headers[count] = (coir_http_header){0};
    request.head.headers = headers;
    coir__http_accepted(&request, quality);
}

/* ---- a reader of its own ---- */

static unsigned number_of(const char *text, size_t length)
{
    char digits[] = "0000";
    for (size_t i = 0, n = 0; i < length; i++)
        if (text[i] != '.')
            digits[n++] = text[i];
    return (unsigned)strtoul(digits, NULL, 10);
}

/* What one element says: -1 for what is none. */
static int read_element(char *element, char **ret_name)
{
    static regex_t grammar;
    static bool made;
    regmatch_t parts[4];
    if (!made)
        require(regcomp(&grammar,
                        "^[ \t]*([-!#$%&'*+.^_`|~0-9A-Za-z]+)"
                        "([ \t]*;[ \t]*[qQ]=(0(\\.[0-9]{0,3})?|1(\\.0{0,3})?))?[ \t]*$",
                        REG_EXTENDED) == 0);
    made = true;
    if (regexec(&grammar, element, 4, parts, 0) != 0)
        return -1;
    int quality = parts[3].rm_so < 0 ? 1000
                                     : (int)number_of(element + parts[3].rm_so,
                                                      (size_t)(parts[3].rm_eo - parts[3].rm_so));
    element[parts[1].rm_eo] = '\0';
    *ret_name = element + parts[1].rm_so;
    return quality;
}

static bool is_coding(const char *name, size_t coding)
{
    return strcasecmp(name, coir__http_codings[coding]) == 0 ||
           (coding == COIR__HTTP_GZIP && strcasecmp(name, "x-gzip") == 0);
}

/* What a list says by the grammar. Returns whether it is one. */
static bool read_list(char *list, unsigned quality[COIR__HTTP_CODINGS])
{
    int said[COIR__HTTP_CODINGS] = {-1, -1, -1, -1}, others = -1;
    for (char *rest = list, *element; (element = strsep(&rest, ",")) != NULL;) {
        char *name;
        if (element[strspn(element, " \t")] == '\0')
            continue;
        int q = read_element(element, &name);
        if (q < 0)
            return false;
        for (size_t i = 0; i < COIR__HTTP_CODINGS; i++)
            said[i] = is_coding(name, i) ? q : said[i];
        others = strcmp(name, "*") == 0 ? q : others;
    }
    for (size_t i = 0; i < COIR__HTTP_CODINGS; i++) {
        int usual = i == COIR__HTTP_PLAIN && others != 0 ? 1 : others;
        int q = said[i] >= 0 ? said[i] : usual;
        quality[i] = q > 0 ? (unsigned)q : 0;
    }
    return true;
}

/* ---- what holds ---- */

static void check_choice(const unsigned quality[COIR__HTTP_CODINGS])
{
    for (unsigned without = 0; without < 1U << COIR__HTTP_CODINGS; without++) {
        enum coir__http_coding best = coir__http_best(quality, without);
        require(best < COIR__HTTP_CODINGS);
        require(best == COIR__HTTP_PLAIN || (quality[best] > 0 && (without >> best & 1) == 0));
        require(best == COIR__HTTP_PLAIN || quality[best] >= quality[COIR__HTTP_PLAIN]);
        for (size_t i = 1; i < COIR__HTTP_CODINGS; i++)
            require((without >> i & 1) != 0 || quality[i] <= quality[best] ||
                    (best == COIR__HTTP_PLAIN && quality[i] < quality[best]));
    }
}

static bool are_same(const unsigned a[COIR__HTTP_CODINGS], const unsigned b[COIR__HTTP_CODINGS])
{
    return memcmp(a, b, COIR__HTTP_CODINGS * sizeof *a) == 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    unsigned quality[COIR__HTTP_CODINGS], again[COIR__HTTP_CODINGS];
    char *values[COIR__HTTP_HEADERS], *text = text_of(data, length);
    size_t count = 0;
    char *joined = strdup(text), *small = strdup(text);
    require(joined != NULL && small != NULL);
    for (char *at = joined; (at = strchr(at, '\n')) != NULL;)
        *at = ',';
    for (char *at = small; *at != '\0'; at++)
        *at = (char)(*at == '\n' ? ',' : *at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
    for (char *rest = text; rest != NULL && count < COIR__HTTP_HEADERS - 1;)
        values[count++] = strsep(&rest, "\n");
    if (count < COIR__HTTP_HEADERS - 1) { /* none was left out */
        get_qualities(values, count, quality);
        for (size_t i = 0; i < COIR__HTTP_CODINGS; i++)
            require(quality[i] <= 1000);
        require(quality[COIR__HTTP_PLAIN] > 0 || strchr(joined, '*') != NULL ||
                strstr(small, "identity") != NULL);
        check_choice(quality);
        get_qualities(&joined, 1, again);
        require(are_same(quality, again));
        get_qualities(&small, 1, again);
        require(are_same(quality, again));
        if (read_list(joined, again))
            require(are_same(quality, again));
    }
    free(text);
    free(joined);
    free(small);
    return 0;
}
