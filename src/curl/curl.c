/* curl.c: a transfer of libcurl as a call that waits.
 *
 * Each call has a multi handle of its own, on which nobody else acts, so that callbacks may wait in
 * the midst of it. libcurl says which sockets and which time it waits for; the task selects over
 * them and tells it what came. Only public calls are used. Called by programs.
 */
#include <coir/curl.h>

#include <errno.h>

#include <coir/descriptor.h>
#include <coir/error.h>
#include <coir/select.h>

enum { SOCKETS = 16 };

struct transfer {
    CURLM *multi;
    struct {
        curl_socket_t fd;
        int events;
    } sockets[SOCKETS]; /* that it waits for */
    size_t count;
    coir_time due; /* when it wants to be called; COIR_FOREVER: never */
    bool crowded;  /* it has more sockets than places */
};

/* ---- what libcurl waits for ---- */

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct transfer *transfer = arg;
    size_t at = 0;
    (void)curl, (void)socket;
    while (at < transfer->count && transfer->sockets[at].fd != fd)
        at++;
    if (what == CURL_POLL_REMOVE) {
        if (at < transfer->count)
            transfer->sockets[at] = transfer->sockets[--transfer->count];
        return 0;
    }
    if (at == SOCKETS) {
        transfer->crowded = true;
        return 0;
    }
    if (at == transfer->count)
        transfer->count++;
    transfer->sockets[at].fd = fd;
    transfer->sockets[at].events =
        ((what & CURL_POLL_IN) != 0 ? POLLIN : 0) | ((what & CURL_POLL_OUT) != 0 ? POLLOUT : 0);
    return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *arg)
{
    struct transfer *transfer = arg;
    (void)multi;
    transfer->due = milliseconds < 0 ? COIR_FOREVER : coir_now() + COIR_MS(milliseconds);
    return 0;
}

/* ---- what came ---- */

static int act(struct transfer *transfer, curl_socket_t fd, int events, int *ret_running)
{
    int mask = ((events & POLLIN) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & (POLLERR | POLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    CURLMcode code = curl_multi_socket_action(transfer->multi, fd, mask, ret_running);
    if (code != CURLM_OK)
        return coir_fail(code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO, "curl: %s",
                         curl_multi_strerror(code));
    return transfer->crowded ? coir_fail(-EMFILE, "curl: more than %d sockets", SOCKETS) : 0;
}

/* Waits for one of them, or for the time. */
static int step(struct transfer *transfer, int *ret_running)
{
    coir_case cases[SOCKETS + 1];
    size_t count = transfer->count;
    for (size_t i = 0; i < count; i++)
        cases[i] =
            (coir_case)COIR_ON_DESCRIPTOR(transfer->sockets[i].fd, transfer->sockets[i].events);
    cases[count] = (coir_case)COIR_ON_TIME(transfer->due);
    int index = coir_select(cases, count + 1);
    if (index < 0)
        return index;
    if ((size_t)index < count)
        return act(transfer, transfer->sockets[index].fd, cases[index].result, ret_running);
    transfer->due = COIR_FOREVER;
    return act(transfer, CURL_SOCKET_TIMEOUT, 0, ret_running);
}

static int run(struct transfer *transfer)
{
    int running = 0;
    COIR_TRY(act(transfer, CURL_SOCKET_TIMEOUT, 0, &running));
    while (running > 0)
        COIR_TRY(step(transfer, &running));
    return 0;
}

/* ---- what became of it ---- */

static int code_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK: return 0;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return -COIR_EURL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return -COIR_ENONAME;
    case CURLE_COULDNT_CONNECT: return -ECONNREFUSED;
    case CURLE_SSL_CONNECT_ERROR: return -COIR_ETLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return -COIR_ECERTIFICATE;
    case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: return -COIR_EEOF;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return -ECONNRESET;
    case CURLE_TOO_MANY_REDIRECTS: return -COIR_EREDIRECTS;
    case CURLE_HTTP_RETURNED_ERROR: return -COIR_ESTATUS;
    case CURLE_LOGIN_DENIED:
    case CURLE_REMOTE_ACCESS_DENIED: return -EACCES;
    case CURLE_OUT_OF_MEMORY: return -ENOMEM;
    case CURLE_WRITE_ERROR:
    case CURLE_READ_ERROR:
    case CURLE_ABORTED_BY_CALLBACK: return -EIO;
    default: return -EPROTO;
    }
}

/* The failure of a transfer of url, which may have a password: what is shown has neither it nor the
 * user. */
static int name_failure(const char *url, CURLcode result)
{
    char *shown = NULL;
    CURLU *parts = curl_url();
    bool good = parts != NULL && url != NULL &&
                curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
                curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_URL, &shown, 0) == CURLUE_OK;
    int r =
        coir_fail(code_of(result), "curl %.90s: %s", good ? shown : "", curl_easy_strerror(result));
    curl_free(shown);
    curl_url_cleanup(parts);
    return r;
}

static int result_of(const struct transfer *transfer, CURL *curl)
{
    int left;
    char *url = NULL;
    const CURLMsg *message = curl_multi_info_read(transfer->multi, &left);
    if (message == NULL || message->msg != CURLMSG_DONE)
        return coir_fail(-EIO, "curl: the transfer has no result");
    CURLcode result = message->data.result;
    if (result == CURLE_OK)
        return 0;
    (void)curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    return name_failure(url, result);
}

static int perform(struct transfer *transfer, CURL *curl)
{
    CURLMcode code = curl_multi_add_handle(transfer->multi, curl);
    if (code == CURLM_ADDED_ALREADY)
        return coir_fail(-EBUSY, "curl: the handle is in another transfer");
    if (code != CURLM_OK)
        return coir_fail(code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EINVAL, "curl: %s",
                         curl_multi_strerror(code));
    int r = run(transfer);
    if (r == 0)
        r = result_of(transfer, curl);
    else
        (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* await no thread of a lookup */
    (void)curl_multi_remove_handle(transfer->multi, curl);
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 0L);
    return r;
}

int coir_curl_perform(CURL *curl)
{
    if (curl == NULL)
        return -EINVAL;
    COIR_TRY(coir_pending());
    struct transfer transfer = {.due = COIR_FOREVER};
    transfer.multi = curl_multi_init();
    if (transfer.multi == NULL)
        return -ENOMEM;
    (void)curl_multi_setopt(transfer.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(transfer.multi, CURLMOPT_SOCKETDATA, &transfer);
    (void)curl_multi_setopt(transfer.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(transfer.multi, CURLMOPT_TIMERDATA, &transfer);
    int r = perform(&transfer, curl);
    (void)curl_multi_cleanup(transfer.multi);
    return r;
}
