/* udp_echo.c: datagrams: a server that answers each sender, a client that is connected to it, and a
 * client of nobody.
 *
 * A connected socket receives from its peer only, and is told when nobody is there. A datagram may
 * be lost on its way, so a client asks again when no answer comes in time.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int serve(void *arg)
{
    coir_udp *udp = arg;
    for (;;) {
        char data[1500];
        size_t length;
        coir_address from;
        int r = coir_udp_receive(udp, data, sizeof data, &length, &from);
        if (r == -EMSGSIZE)
            continue; /* longer than any that is meant for us */
        COIR_TRY(r);
        COIR_TRY(coir_udp_send(udp, data, length, &from));
    }
}

static int ask(const char *address, const char *text)
{
    COIR_AUTO(coir_udp) *udp = NULL;
    COIR_TRY(coir_udp_open(NULL, address, NULL, &udp));
    for (int tries = 0; tries < 3; tries++) {
        char reply[64] = "";
        size_t length;
        COIR_TRY(coir_udp_send(udp, text, strlen(text), NULL));
        COIR_SCOPE(patience, COIR_SEC(1));
        int r = coir_udp_receive(udp, reply, sizeof reply - 1, &length, NULL);
        if (coir_scope_expired(&patience))
            continue;
        printf("%s\n", r < 0 ? coir_error_text(r) : reply);
        return 0;
    }
    return -ETIMEDOUT;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_udp) *udp = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_udp_open("127.0.0.1:0", NULL, NULL, &udp));
    COIR_TRY(coir_udp_address(udp, address, sizeof address));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, udp, NULL));
    COIR_TRY(ask(address, "hello"));
    return ask("127.0.0.1:1", "is anybody there?");
}

int main(void)
{
    return coir_main(app, NULL);
}
