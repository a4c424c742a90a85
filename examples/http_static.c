/* http_static.c: the files of a directory, and nothing outside of it.
 *
 * Conditions and ranges are answered as a browser expects them; the kernel moves the bytes.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ask(coir_http_app *app, const char *head)
{
    char request[512];
    int length = snprintf(request, sizeof request, "%s\r\nHost: localhost\r\n\r\n", head);
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_TRY(coir_stream_write(client, request, (size_t)length));
    COIR_TRY(coir_stream_shutdown(client));
    COIR_TRY(coir_http_app_serve_stream(app, server));
    coir_bytes line;
    printf("%s\n", head);
    while (COIR_TRY(coir_stream_read_line(client, 0, &line)) > 0)
        if (strncmp(line.data, "ETag", 4) != 0 && strncmp(line.data, "Last-", 5) != 0)
            printf("    %.*s\n", (int)line.length, (const char *)line.data);
    return 0;
}

static int serve(const char *directory)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.no_date = true}, &app));
    coir_http_app_static(app, "/", directory);
    COIR_TRY(ask(app, "GET / HTTP/1.1"));
    COIR_TRY(ask(app, "GET /index.html HTTP/1.1\r\nRange: bytes=3-6"));
    return ask(app, "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1");
}

static int app(void *arg)
{
    (void)arg;
    char directory[] = "/tmp/http_static.XXXXXX", index[64];
    if (mkdtemp(directory) == NULL)
        return -errno;
    (void)snprintf(index, sizeof index, "%s/index.html", directory);
    int r = coir_file_write_all(index, "<p>tea</p>\n", 11, NULL);
    if (r == 0)
        r = serve(directory);
    COIR_TRY(coir_fs_unlink(index, COIR_FS_MISSING_OK));
    COIR_TRY(coir_fs_rmdir(directory, 0));
    return r;
}

int main(void)
{
    return coir_main(app, NULL);
}
