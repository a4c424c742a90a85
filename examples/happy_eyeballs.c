/* happy_eyeballs.c: a host with two addresses, one of which leads nowhere.
 *
 * Both are tried, the second as soon as the first has failed or kept silent for 250 ms. When none
 * answers, the text of the failure has all of them.
 */
#include <coir/coir.h>
#include <stdio.h>

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));

    coir_address addresses[2];
    COIR_TRY(coir_address_parse("[::1]:1", &addresses[0])); /* nobody is there */
    COIR_TRY(coir_address_parse(address, &addresses[1]));
    COIR_TRY(coir_tcp_connect_any(addresses, 2, NULL, &stream));
    printf("connected\n");
    coir_stream_close(COIR_TAKE(stream));

    int r = coir_tcp_connect("localhost:1", NULL, &stream); /* ::1 and 127.0.0.1 */
    printf("%s\n", coir_last_message(r));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
