/* main.c: Pulse, an uptime monitor: checks many services at once, keeps every result, shows them
 * live.
 *
 * Here are the command line and the plan of the whole: three tasks, from scheduler.c over store.c
 * to view.c, web.c beside them, and what ends when. A signal cancels the checks and the page; what
 * was found still reaches the file and the view, which are shielded from the cancellation for half
 * a second.
 */
#include "lag.h"
#include "pulse.h"
#include "status.h"
#include "terminal.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#ifdef PULSE_DNS
#include <coir/dns.h>
#endif

#define VERSION "0.1.0"

struct options {
    const char *targets, *results, *listen;
    long in_flight;
    bool once;
    struct config config;
};

static const char usage[] =
    "usage: pulse [options]\n"
    "\n"
    "Checks services and shows how they are, until SIGINT or SIGTERM.\n"
    "\n"
    "  --targets FILE   what to watch (pulse.yaml)\n"
    "  --results FILE   where every result is appended (results.jsonl)\n"
    "  --in-flight N    checks at the same time, 1 to 10000 (64)\n"
    "  --listen ADDRESS serve the state by HTTP, such as 127.0.0.1:8080\n"
    "  --once           check each target one time; exit status 1 when one is down\n"
    "  --help           this text\n"
    "  --version        the version\n";

enum { EXIT_USAGE = 2 };

/* --- The program ------------------------------------------------------------------------------ */

static int first_failure(int first, int next)
{
    return first < 0 ? first : next;
}

/* Also says where: the port may be one that was free. */
static int listen_at(const char *address, coir_listener **ret_listener, char *ret_url, size_t size)
{
    char text[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen(address, NULL, ret_listener));
    COIR_TRY(coir_listener_address(*ret_listener, text, sizeof text));
    snprintf(ret_url, size, "http://%s/", text);
    fprintf(stderr, "pulse: %s\n", ret_url);
    return 0;
}

static int run(void *arg)
{
    struct options *options = arg;
    COIR_AUTO(store) store = {.path = options->results, .fd = -1};
    COIR_TRY(store_open(&store));
#ifdef PULSE_DNS
    COIR_AUTO(coir_dns) *dns = NULL; /* otherwise the system looks names up, on threads */
    COIR_TRY(coir_dns_open(NULL, &dns));
    coir_dns_use(dns);
#endif

    COIR_AUTO(status) *status = NULL;
    COIR_TRY(status_open(&options->config, &status));
    COIR_AUTO(coir_listener) *listener = NULL;
    char url[COIR_ADDRESS_TEXT + 16] = "";
    if (options->listen)
        COIR_TRY(listen_at(options->listen, &listener, url, sizeof url));
    COIR_AUTO(coir_sender) *results = NULL, *stored = NULL;
    COIR_AUTO(coir_receiver) *to_store = NULL, *to_show = NULL;
    COIR_TRY(coir_channel_open(struct result, CHANNEL_ROOM, &results, &to_store));
    COIR_TRY(coir_channel_open(struct result, CHANNEL_ROOM, &stored, &to_show));
    store.results = to_store;
    store.stored = stored;
    COIR_AUTO(clients) clients = {0};
    COIR_TRY(clients_open(&options->config, (size_t)options->in_flight, &clients));
    struct lag lag = {0};
    struct schedule schedule = {.config = &options->config,
                                .clients = &clients,
                                .once = options->once,
                                .results = results,
                                .lag = &lag};
    schedule.slots.value = (size_t)options->in_flight;
    struct view view = {.config = &options->config,
                        .store = &store,
                        .status = status,
                        .url = url,
                        .stored = to_show};
    view.table = !options->once && terminal_is_there();

    COIR_GROUP(checks);        /* a signal cancels this one */
    COIR_SHIELD(COIR_MS(500)); /* while what was found still reaches the file and the view */
    COIR_GROUP(rest);
    coir_task *storing, *viewing;
    COIR_TRY(coir_spawn(&rest, store_run, &store, &storing));
    COIR_TRY(coir_spawn(&rest, view_run, &view, &viewing));
    COIR_TRY(coir_spawn(&checks, schedule_run, &schedule, NULL));
    struct web web = {.status = status, .lag = &lag, .listener = listener};
    if (listener)
        COIR_TRY(coir_spawn(&checks, web_run, &web, NULL));

    int r = coir_group_wait(&checks);
    coir_sender_close(COIR_TAKE(results));
    r = first_failure(r, coir_join(storing, NULL));
    coir_sender_close(COIR_TAKE(stored));
    r = first_failure(r, coir_join(viewing, NULL));
    r = coir_group_finish(&rest, r);
    bool complete = options->once && store.count == options->config.count;
    return r == 0 && complete && store.down > 0 ? 1 : r;
}

/* --- The command line ------------------------------------------------------------------------- */

static void complain(const char *what, const char *value)
{
    fprintf(stderr, "pulse: %s '%s'; --help lists the options\n", what, value);
    exit(EXIT_USAGE);
}

static void parse_in_flight(const char *text, long *ret_value)
{
    if (!parse_integer(text, ret_value) || *ret_value < 1 || *ret_value > 10000)
        complain("--in-flight: expected a whole number from 1 to 10000, not", text);
}

static void parse_options(int argc, char **argv, struct options *options)
{
    enum { TARGETS = 1, RESULTS, IN_FLIGHT, LISTEN, ONCE, HELP, SHOW_VERSION };
    static const struct option known[] = {
        {"targets", required_argument, NULL, TARGETS},
        {"results", required_argument, NULL, RESULTS},
        {"in-flight", required_argument, NULL, IN_FLIGHT},
        {"listen", required_argument, NULL, LISTEN},
        {"once", no_argument, NULL, ONCE},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, SHOW_VERSION},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case TARGETS: options->targets = optarg; break;
        case RESULTS: options->results = optarg; break;
        case IN_FLIGHT: parse_in_flight(optarg, &options->in_flight); break;
        case LISTEN: options->listen = optarg; break;
        case ONCE: options->once = true; break;
        case HELP: fputs(usage, stdout); exit(0);
        case SHOW_VERSION: puts("pulse " VERSION); exit(0);
        default: exit(EXIT_USAGE);
        }
    }
    if (options->once && options->listen)
        complain("--once ends by itself, and does not go with --listen", options->listen);
    if (optind < argc)
        complain("unexpected argument", argv[optind]);
}

int main(int argc, char **argv)
{
    struct options options = {.targets = "pulse.yaml", .results = "results.jsonl", .in_flight = 64};
    parse_options(argc, argv, &options);
    text_init();
    if (config_load(options.targets, stderr, &options.config) > 0)
        return EXIT_USAGE;
    int code = coir_main(run, &options);
    config_free(&options.config);
    return code;
}
