/* coir's side of the benchmark udp_echo/: a server that sends each datagram back, written as a user
 * would: one task, one datagram at a time. Listens on a free port of 127.0.0.1 and says `PORT n`;
 * COIR_BACKEND chooses the backend. With the word `batch` it takes what is there in one call, and
 * sends it back in one. Runs until it is ended. */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int echo(coir_udp *udp)
{
    for (;;) {
        char data[2048];
        size_t length;
        coir_address from;
        COIR_TRY(coir_udp_receive(udp, data, sizeof data, &length, &from));
        COIR_TRY(coir_udp_send(udp, data, length, &from));
    }
}

static int echo_batches(coir_udp *udp)
{
    static char data[64][2048];
    static coir_datagram datagrams[64];
    for (size_t i = 0; i < COIR_COUNT(datagrams); i++)
        datagrams[i] = (coir_datagram){.data = data[i], .size = sizeof data[i]};
    for (;;) {
        size_t count;
        COIR_TRY(coir_udp_receive_batch(udp, datagrams, COIR_COUNT(datagrams), &count));
        COIR_TRY(coir_udp_send_batch(udp, datagrams, count, NULL));
    }
}

static int app(void *arg)
{
    const char *how = arg;
    COIR_AUTO(coir_udp) *udp = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_udp_open("127.0.0.1:0", NULL, NULL, &udp));
    COIR_TRY(coir_udp_address(udp, address, sizeof address));
    printf("PORT %s\n", strrchr(address, ':') + 1);
    (void)fflush(stdout);
    return strcmp(how, "batch") == 0 ? echo_batches(udp) : echo(udp);
}

int main(int argc, char **argv)
{
    return coir_main(app, argv[argc - 1]);
}
