#!/bin/sh
# A stranger's first five minutes: install the library into a prefix, find it with pkg-config, build a C program and a
# C++ program against what was installed, shared and static, and run them.
set -eu
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/dev" install "$work/prefix"
export PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig"
cd "$work"

cat >hello.c <<'END'
#include <coir/coir.h>
#include <stdio.h>

static int hello(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_MS(1)));
    puts("hello");
    return 0;
}

int main(void)
{
    return coir_main(hello, NULL);
}
END

{
    echo "#define COIR_TEST_NO_MAIN"
    for header in "$work"/prefix/include/coir/*.h; do
        printf '#include <coir/%s>\n' "${header##*/}"
    done
    cat <<'END'
#include <cstdio>

static int hello(void *)
{
    std::puts("hello");
    return 0;
}

int main()
{
    return coir_main(hello, nullptr);
}
END
} >hello.cc

# A program on each further library: what its pkg-config file says is enough.
cat >tls.c <<'END'
#include <coir/coir.h>
#include <coir/tls.h>
#include <stdio.h>

static int hello(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, NULL, &context));
    puts("hello");
    return 0;
}

int main(void)
{
    return coir_main(hello, NULL);
}
END
cat >server.c <<'END'
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>

static int hello(coir_http_request *request)
{
    puts("hello");
    return coir_http_reply_text(request, 200, "hello\n");
}

static int serve(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_get(app, "/", hello);
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *stream;
    COIR_TRY(coir_stream_pair(0, &client, &stream));
    COIR_TRY(coir_stream_write(client, "GET / HTTP/1.0\r\n\r\n", 18));
    return coir_http_app_serve_stream(app, stream);
}

int main(void)
{
    return coir_main(serve, NULL);
}
END
cat >names.c <<'END'
#include <coir/coir.h>
#include <coir/dns.h>
#include <stdio.h>

static int look_up(void *arg)
{
    COIR_AUTO(coir_dns) *dns = NULL;
    coir_dns_answer answer;
    COIR_TRY(coir_dns_open(arg, &dns));
    COIR_TRY(coir_dns_lookup(dns, "localhost", AF_INET, &answer));
    puts(answer.count == 1 ? "hello" : "?");
    return 0;
}

int main(void)
{
    return coir_main(look_up, NULL);
}
END

expect_hello() {
    printed=$(LD_LIBRARY_PATH="$work/prefix/lib" "$@")
    [ "$printed" = hello ] && return 0
    echo "$*: printed '$printed'"
    exit 1
}

cat >transfer.c <<'END'
#include <coir/coir.h>
#include <coir/curl.h>
#include <stdio.h>

static int transfer(void *arg)
{
    CURL *curl = curl_easy_init();
    (void)arg;
    curl_easy_setopt(curl, CURLOPT_URL, "nonsense://example.org/");
    puts(coir_curl_perform(curl) == -COIR_EURL ? "hello" : "?");
    curl_easy_cleanup(curl);
    return 0;
}

int main(void)
{
    return coir_main(transfer, NULL);
}
END

# pkg-config prints words to split.
# shellcheck disable=SC2046
{
    gcc -Wall -Wextra -Werror hello.c -o hello $(pkg-config --cflags --libs coir)
    gcc -Wall -Wextra -Werror hello.c -o hello-static $(pkg-config --cflags coir) prefix/lib/libcoir.a \
        $(pkg-config --static --libs-only-l coir | sed 's/-lcoir *//') -pthread
    gcc -Wall -Wextra -Werror tls.c -o tls $(pkg-config --cflags --libs coir-tls)
    gcc -Wall -Wextra -Werror tls.c -o tls-static $(pkg-config --cflags coir-tls) prefix/lib/libcoir-tls.a \
        prefix/lib/libcoir.a $(pkg-config --static --libs-only-l coir-tls | sed 's/-lcoir\(-tls\)\{0,1\} *//g') -pthread
    g++ -std=c++17 -Wall -Wextra -Werror hello.cc -o hello-cc $(pkg-config --cflags --libs coir)
    gcc -Wall -Wextra -Werror server.c -o server $(pkg-config --cflags --libs coir-http)
    gcc -Wall -Wextra -Werror server.c -o server-static $(pkg-config --cflags coir-http) prefix/lib/libcoir-http.a \
        prefix/lib/libcoir-tls.a prefix/lib/libcoir.a \
        $(pkg-config --static --libs-only-l coir-http | sed 's/-lcoir\(-[a-z]*\)\{0,1\} *//g') -pthread
    gcc -Wall -Wextra -Werror names.c -o names $(pkg-config --cflags --libs coir-dns)
    gcc -Wall -Wextra -Werror transfer.c -o transfer $(pkg-config --cflags --libs coir-curl)
}
# A further name of a page is a file that includes it.
for page in man3/coir_spawn.3 man3/coir_receiver_clone.3 man3/coir_http_app_get.3 man7/coir.7 man7/coir-channel.7; do
    [ -s "prefix/share/man/$page" ] && continue
    echo "$page is not installed"
    exit 1
done
expect_hello ./hello
expect_hello ./hello-static
expect_hello ./hello-cc
expect_hello ./tls
expect_hello ./tls-static
expect_hello ./server
expect_hello ./server-static
expect_hello ./names
expect_hello ./transfer
