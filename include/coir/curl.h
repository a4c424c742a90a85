/* coir/curl.h: libcurl's transfers as calls that wait: for protocols and ways to a server that
 * coir's own client does not have. In a library of its own, libcoir-curl, over libcurl: link what
 * `pkg-config --libs coir-curl` says.
 *
 *     CURL *curl = curl_easy_init();
 *     curl_easy_setopt(curl, CURLOPT_URL, "sftp://example.org/tea.txt");
 *     curl_easy_setopt(curl, CURLOPT_WRITEDATA, file);
 *     int r = coir_curl_perform(curl);
 *     curl_easy_cleanup(curl);
 *
 * Where libcurl would block the thread, only the task waits. Options, callbacks and results are
 * libcurl's: see curl_easy_setopt(3) and curl_easy_getinfo(3).
 */
#ifndef COIR_CURL_H
#define COIR_CURL_H

#include <curl/curl.h>

#include <coir/task.h>

COIR__BEGIN

/* Does the transfer of curl, as curl_easy_perform does, in this task. Callbacks are called in it,
 * and may wait. Several tasks may each have a transfer of their own under way; they share
 * connections where their handles share them (CURLSHOPT_SHARE of CURL_LOCK_DATA_CONNECT, which
 * needs no lock functions for the tasks of one loop), and otherwise each transfer has its own. A
 * deadline is a scope around the call; those of libcurl hold too.
 * Returns 0. Errors: -COIR_EURL, -COIR_ENONAME, -ECONNREFUSED for whatever keeps it from
 * connecting, -COIR_ETLS, -COIR_ECERTIFICATE, -ETIMEDOUT, -COIR_EEOF, -ECONNRESET,
 * -COIR_EREDIRECTS, -COIR_ESTATUS (CURLOPT_FAILONERROR), -EACCES for a login, -ENOMEM, -EIO when
 * a callback has ended the transfer, -EPROTO for everything else; -EBUSY when curl is in another
 * transfer; -EMFILE beyond 16 sockets; -EOPNOTSUPP on the simulated backend, -EINVAL,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. The text is libcurl's. Cancel safety: the transfer is
 * ended, its connection closed; what it has given to callbacks is given. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_curl_perform(CURL *curl);

COIR__END
#endif
