/* names.c: looking names up without connecting, and what is a name at all.
 *
 * These are known without asking anybody; the resolver of the loop, at first the system's, is asked
 * for all others.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int show(const char *text, int family)
{
    coir_address addresses[COIR_NAME_ADDRESSES];
    size_t count;
    COIR_TRY(coir_name_lookup(text, family, addresses, COIR_NAME_ADDRESSES, &count));
    printf("%s:", text);
    for (size_t i = 0; i < count; i++) {
        char address[COIR_ADDRESS_TEXT];
        coir_address_format(&addresses[i], address, sizeof address);
        printf(" %s", address);
    }
    printf("\n");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(show("localhost:80", AF_UNSPEC));
    COIR_TRY(show("localhost:80", AF_INET));
    COIR_TRY(show("my.localhost:80", AF_INET6));
    COIR_TRY(show("192.0.2.1:80", AF_UNSPEC));

    static const char *const names[] = {"example.org", "-x.example.org", "127.1", "a..b"};
    for (size_t i = 0; i < COIR_COUNT(names); i++) {
        int r = coir_name_check(names[i], strlen(names[i]));
        printf("%s\n", r < 0 ? coir_last_message(r) : names[i]);
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
