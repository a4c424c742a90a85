/* check_http.c: one attempt at an HTTP target.
 *
 * Each attempt has a connection of its own: whether one can be made is part of the question. A
 * target is up when its status is one that is expected, its body has come to its end, or to the
 * first MiB, and the text that is expected stands in that. Redirects are followed, unless their
 * status is expected. Bodies are searched as they come, and never kept.
 */
#include "pulse.h"

#include <errno.h>
#include <string.h>

enum { BODY_SEEN = 1 << 20, PIECE = 4096 };

/* --- Clients ---------------------------------------------------------------------------------- */

int clients_open(const struct config *config, size_t in_flight, struct clients *ret_clients)
{
    coir_http_session_opts opts = {
        .headers = (coir_http_header[]){{"User-Agent", "pulse"}, {"Accept", "*/*"}, {0}},
        .limit = in_flight,
        .connect_limit = COIR_SEC(300), /* a check has its own deadline */
        .read_limit = COIR_SEC(300),
        .no_cookies = true,
        .no_keep_alive = true,
    };
    for (size_t i = 0; i < config->context_count; i++) {
        opts.tls = config->contexts[i].tls;
        if (opts.tls)
            COIR_TRY(coir_http_session_open(&opts, &ret_clients->sessions[i]));
    }
    return 0;
}

void clients_close(struct clients *clients)
{
    for (size_t i = 0; i < COIR_COUNT(clients->sessions); i++)
        coir_http_session_close(clients->sessions[i]);
}

/* --- Expectations ----------------------------------------------------------------------------- */

static bool is_expected(const struct expectation *expectation, int status)
{
    for (size_t i = 0; i < expectation->status_count; i++)
        if (status >= expectation->statuses[i].first && status <= expectation->statuses[i].last)
            return true;
    return false;
}

static bool expects_redirects(const struct expectation *expectation)
{
    static const int redirects[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < COIR_COUNT(redirects); i++)
        if (is_expected(expectation, redirects[i]))
            return true;
    return false;
}

/* Reads a body, and looks for text. What a piece ends with stays before the next one, as far as
 * text may have begun in it. */
static int check_body(coir_http_response *response, const char *text)
{
    char data[BODY_MOST + PIECE];
    size_t length = text ? strlen(text) : 0, kept = 0, seen = 0, n;
    bool found = length == 0;
    int r = 1;
    while (seen < BODY_SEEN) {
        size_t size = BODY_SEEN - seen < PIECE ? BODY_SEEN - seen : PIECE;
        r = coir_http_response_read_some(response, data + kept, size, &n);
        if (r <= 0)
            break;
        seen += n;
        if (found)
            continue;
        found = memmem(data, kept + n, text, length) != NULL;
        size_t rest = kept + n < length - 1 ? kept + n : length - 1;
        memmove(data, data + kept + n - rest, rest);
        kept = rest;
    }
    if (r < 0 || found)
        return r < 0 ? r : 0;
    return coir_fail(-EBADMSG, "body without '%.40s' in %s%zu bytes", text,
                     r > 0 ? "its first " : "", seen);
}

int check_http(const struct clients *clients, const struct target *target, struct result *result)
{
    const struct expectation *expectation = target->expectation;
    coir_tls_certificate certificate = {0};
    coir_http_request_opts opts = {
        .headers = expectation->headers,
        .no_redirects = expects_redirects(expectation),
        .ret_certificate = &certificate,
    };
    COIR_AUTO(coir_http_response) *response = NULL;
    result->http_status = 0;
    result->certificate_until = 0;
    COIR_TRY(coir_http_send(clients->sessions[target->trust], expectation->method, target->label,
                            &opts, &response));
    int status = coir_http_response_status(response);
    result->http_status = status;
    result->certificate_until = certificate.until;
    const char *text = coir_http_status_text(status);
    if (!is_expected(expectation, status))
        return coir_fail(-COIR_ESTATUS, "status %d%s%s", status, *text ? " " : "", text);
    return check_body(response, expectation->body);
}
