/* options.c: the command line of a test program, and its environment. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "testing/kit.h"

static const char help[] =
    "usage: %s [OPTION...] [FILTER...]\n"
    "Runs the tests whose names contain a FILTER, or match it as a glob; all without one.\n"
    "A FILTER that is exactly a test's name means that test only.\n"
    "\n"
    "  -j, --jobs N             how many run at once (the number of processors)\n"
    "  -l, --list               print the names and tags\n"
    "  -v, --verbose            a line for each test; what tests print is shown always\n"
    "      --no-fork            one after the other in this process, for debuggers\n"
    "      --no-exit-handlers   end processes sooner, as torture does: leaks are looked for, but\n"
    "                           coverage is not written\n"
    "      --backend NAME       epoll, uring or sim ($COIR_BACKEND, else epoll)\n"
    "      --works              only say whether the backend works here: exit status 0 or 1\n"
    "      --seed N             order of ready tasks; 0: first in, first out ($COIR_SEED, else\n"
    "                           random)\n"
    "      --repeat N           each test N times, with the seeds that follow\n"
    "      --torture[=sample]   faults at up to 4 points of each kind in each test\n"
    "      --torture=full       faults at all points\n"
    "      --torture-kind=K,... only these kinds: cancel, timeout, alloc, alloc-forever, syscall,\n"
    "                           short\n"
    "      --torture-point=P    one fault, as a failure names it: cancel:17, syscall:RECV:3:EINTR\n"
    "\n"
    "COIR_TEST_TIMEOUT_MULTIPLIER stretches the time limits; COIR_TORTURE_SHIFT, any text such\n"
    "as a commit's name, moves the points that a sample takes.\n";

/* Sanitizers make everything slower, the kit included. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define USUAL_MULTIPLIER 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define USUAL_MULTIPLIER 4
#endif
#endif
#ifndef USUAL_MULTIPLIER
#define USUAL_MULTIPLIER 1
#endif

enum {
    BACKEND = 256,
    WORKS,
    NO_FORK,
    NO_EXIT_HANDLERS,
    SEED,
    REPEAT,
    TORTURE,
    TORTURE_KIND,
    TORTURE_POINT
};

static const struct option long_options[] = {
    {"jobs", required_argument, NULL, 'j'},
    {"list", no_argument, NULL, 'l'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"no-fork", no_argument, NULL, NO_FORK},
    {"no-exit-handlers", no_argument, NULL, NO_EXIT_HANDLERS},
    {"backend", required_argument, NULL, BACKEND},
    {"works", no_argument, NULL, WORKS},
    {"seed", required_argument, NULL, SEED},
    {"repeat", required_argument, NULL, REPEAT},
    {"torture", optional_argument, NULL, TORTURE},
    {"torture-kind", required_argument, NULL, TORTURE_KIND},
    {"torture-point", required_argument, NULL, TORTURE_POINT},
    {NULL, 0, NULL, 0},
};

static int read_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most)
        return -EINVAL;
    *ret_number = number;
    return 0;
}

static int read_count(const char *text, unsigned *ret_count)
{
    uint64_t number;
    if (read_number(text, 1, 1000000, &number) < 0)
        return -EINVAL;
    *ret_count = (unsigned)number;
    return 0;
}

static int read_torture(const char *text, enum coir__kit_torture *ret_torture)
{
    *ret_torture = COIR__TORTURE_SAMPLE;
    if (text == NULL || strcmp(text, "sample") == 0)
        return 0;
    *ret_torture = COIR__TORTURE_FULL;
    return strcmp(text, "full") == 0 ? 0 : -EINVAL;
}

static int read_kinds(const char *text, unsigned *ret_kinds)
{
    *ret_kinds = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        int kind = 1;
        while (kind < COIR__KIND_COUNT && (strlen(coir__kind_names[kind]) != length ||
                                           strncmp(coir__kind_names[kind], text, length) != 0))
            kind++;
        if (kind == COIR__KIND_COUNT)
            return -EINVAL;
        *ret_kinds |= 1U << kind;
        text += length + (text[length] == ',');
    }
    return *ret_kinds != 0 ? 0 : -EINVAL;
}

static int read_seed(struct coir__kit_options *options, const char *text)
{
    options->seeded = true;
    return read_number(text, 0, UINT64_MAX, &options->seed);
}

/* One option. Returns 0, 1 for --help, or -EINVAL. */
static int read_option(struct coir__kit_options *options, int option, const char *value)
{
    switch (option) {
    case 'j': return read_count(value, &options->jobs);
    case 'l': options->list = true; return 0;
    case 'v': options->verbose = true; return 0;
    case 'h': printf(help, options->program); return 1;
    case NO_FORK: options->no_fork = true; return 0;
    case NO_EXIT_HANDLERS: options->no_exit_handlers = true; return 0;
    case BACKEND: options->backend = value; return 0;
    case WORKS: options->works = true; return 0;
    case SEED: return read_seed(options, value);
    case REPEAT: return read_count(value, &options->repeat);
    case TORTURE: return read_torture(value, &options->torture);
    case TORTURE_KIND: return read_kinds(value, &options->kinds);
    case TORTURE_POINT: return coir__plan_parse(value, &options->point);
    default: return -EINVAL;
    }
}

static unsigned count_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

/* A seed that is never 0, and short enough to be typed. */
static uint64_t random_seed(void)
{
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint32_t)getpid();
    return seed != 0 ? seed : 1;
}

/* FNV-1a, of a commit's name as git writes it. */
static uint64_t hash(const char *text)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return sum;
}

static int read_environment(struct coir__kit_options *options)
{
    const char *backend = getenv("COIR_BACKEND"), *seed = getenv("COIR_SEED");
    const char *multiplier = getenv("COIR_TEST_TIMEOUT_MULTIPLIER");
    const char *shift = getenv("COIR_TORTURE_SHIFT");
    options->backend = backend != NULL && *backend != '\0' ? backend : "epoll";
    options->multiplier = multiplier != NULL ? strtod(multiplier, NULL) : USUAL_MULTIPLIER;
    if (!(options->multiplier > 0))
        return -EINVAL;
    options->shift = shift != NULL ? hash(shift) : 0;
    options->seed = random_seed();
    return seed != NULL && *seed != '\0' ? read_seed(options, seed) : 0;
}

int coir__options_read(struct coir__kit_options *options, int argc, char **argv)
{
    *options = (struct coir__kit_options){
        .program = argv[0], .jobs = count_processors(), .repeat = 1, .kinds = ~0U};
    if (read_environment(options) < 0) {
        fprintf(stderr, "%s: COIR_SEED or COIR_TEST_TIMEOUT_MULTIPLIER is no number\n", argv[0]);
        return -1;
    }
    optind = 0; /* the library's way to say: from the beginning, also the second time */
    int option;
    while ((option = getopt_long(argc, argv, "j:lvh", long_options, NULL)) != -1) {
        int r = read_option(options, option, optarg);
        if (r == 1)
            return 1;
        if (r < 0) {
            if (option != '?')
                fprintf(stderr, "%s: not a good value: '%s'\n", argv[0], optarg);
            fprintf(stderr, "%s --help says more\n", argv[0]);
            return -1;
        }
    }
    if (options->no_fork && options->torture != COIR__TORTURE_NONE) {
        fprintf(stderr, "%s: --torture needs processes; --torture-point does not\n", argv[0]);
        return -1;
    }
    options->filters = argv + optind;
    options->filter_count = argc - optind;
    /* Loops that a test opens with no backend in its options get the same one. */
    if (setenv("COIR_BACKEND", options->backend, 1) != 0)
        return -1;
    return setenv("COIR_DEBUG_LEDGER", "1", 0) == 0 ? 0 : -1;
}
