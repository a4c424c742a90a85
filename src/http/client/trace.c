/* trace.c: what happens to requests and connections, told to the session's trace.
 *
 * Nothing is done without one: the other files ask before they make an event. Called by call.c,
 * send.c, session.c, response.c.
 */
#include "session.h"

static void tell(const coir_http_session *session, coir_http_event *event)
{
    event->time = coir_now();
    session->opts.trace(event, session->opts.trace_arg);
}

void coir__http_tell_call(coir_http_call *call, coir_http_event event)
{
    event.request = call->number;
    event.origin = coir_buffer_text(&call->origin);
    event.method = call->method;
    event.url = coir_http_call_url(call);
    event.state = call->opts->state;
    tell(call->session, &event);
}

void coir__http_tell_response(const coir_http_response *response, coir_http_event event)
{
    if (response->session == NULL || response->session->opts.trace == NULL)
        return;
    event.request = response->number;
    event.url = coir_buffer_text(&response->url);
    event.state = response->state;
    event.status = response->head.status;
    event.headers = response->head.headers;
    tell(response->session, &event);
}

void coir__http_tell_link(const coir_http_session *session, const char *origin,
                          coir_http_event event)
{
    if (session->opts.trace == NULL)
        return;
    event.origin = origin;
    tell(session, &event);
}

const char *coir_http_phase_text(coir_http_phase phase)
{
    static const char *const texts[] = {
        [COIR_HTTP_BEGUN] = "begun",
        [COIR_HTTP_QUEUED] = "queued",
        [COIR_HTTP_LOOKUP] = "lookup",
        [COIR_HTTP_RESOLVED] = "resolved",
        [COIR_HTTP_CONNECTING] = "connecting",
        [COIR_HTTP_CONNECTED] = "connected",
        [COIR_HTTP_SECURED] = "secured",
        [COIR_HTTP_OPENED] = "opened",
        [COIR_HTTP_REUSED] = "reused",
        [COIR_HTTP_CHUNK_SENT] = "chunk sent",
        [COIR_HTTP_SENT] = "sent",
        [COIR_HTTP_REPEATED] = "repeated",
        [COIR_HTTP_ANSWERED] = "answered",
        [COIR_HTTP_REDIRECTED] = "redirected",
        [COIR_HTTP_CHUNK] = "chunk",
        [COIR_HTTP_ENDED] = "ended",
        [COIR_HTTP_FAILED] = "failed",
    };
    return phase > 0 && (size_t)phase < COIR_COUNT(texts) ? texts[phase] : "";
}
