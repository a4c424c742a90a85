/* activation.c: sockets that a service manager has opened.
 *
 * Owns the table of the descriptors that came with the environment, read once in a process and then
 * taken out of it. What was taken is the taker's. Called by programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <coir/activation.h>

#define FIRST 3            /* SD_LISTEN_FDS_START */
#define MOST 1024          /* more is a mistake */
#define NAMELESS "unknown" /* what the manager's own library calls them */

static struct {
    pthread_mutex_t lock;
    bool read;
    size_t count;
    bool taken[MOST];
    char *names; /* separated by zeros, count of them; NULL: none were given */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A decimal number and nothing else, up to most; -1 for anything else. */
static long number_of(const char *text, long most)
{
    long number = 0;
    if (text == NULL || text[0] == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        if (number > (most - (*text - '0')) / 10)
            return -1;
        number = number * 10 + (*text - '0');
    }
    return number;
}

/* Splits a:b:c. Names that do not match the descriptors in number are none. The copy stays until
 * the process ends, as the table does. */
static void read_names(const char *text)
{
    size_t count = 1;
    if (text == NULL)
        return;
    for (const char *at = text; *at != '\0'; at++)
        count += *at == ':';
    if (count != table.count || (table.names = strdup(text)) == NULL)
        return;
    for (char *at = table.names; (at = strchr(at, ':')) != NULL;)
        *at++ = '\0';
}

static void read_environment(void)
{
    long pid = number_of(getenv("LISTEN_PID"), INT32_MAX);
    long count = number_of(getenv("LISTEN_FDS"), MOST);
    if (pid == getpid() && count > 0) {
        table.count = (size_t)count;
        read_names(getenv("LISTEN_FDNAMES"));
    }
    for (size_t i = 0; i < table.count; i++)
        if (fcntl(FIRST + (int)i, F_SETFD, FD_CLOEXEC) < 0)
            table.taken[i] = true; /* it is not open */
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    table.read = true;
}

static int take(const char *name, int *ret_fd)
{
    if (!table.read)
        read_environment();
    const char *own = table.names;
    for (size_t i = 0; i < table.count; i++) {
        bool matches = name == NULL || strcmp(own != NULL ? own : NAMELESS, name) == 0;
        if (own != NULL)
            own += strlen(own) + 1;
        if (!matches || table.taken[i])
            continue;
        table.taken[i] = true;
        *ret_fd = FIRST + (int)i;
        return 0;
    }
    return -ENOENT;
}

int coir_activation_take(const char *name, int *ret_fd)
{
    if (ret_fd == NULL)
        return -EINVAL;
    pthread_mutex_lock(&table.lock);
    int r = take(name, ret_fd);
    pthread_mutex_unlock(&table.lock);
    return r;
}

/* What is wrong with the descriptor that was given. */
static int refuse(int code, int fd, const char *name)
{
    close(fd);
    return coir_fail(code, "descriptor %d, given as '%.40s' by the service manager: %s", fd,
                     name != NULL ? name : "any", coir_error_text(code));
}

int coir_listen_activated(const char *name, const coir_listen_opts *opts,
                          coir_listener **ret_listener)
{
    int fd;
    int r = coir_activation_take(name, &fd);
    if (r < 0)
        return r;
    r = coir_listener_adopt(fd, opts, ret_listener);
    return r < 0 ? refuse(r, fd, name) : 0;
}

int coir_udp_activated(const char *name, coir_udp **ret_udp)
{
    int fd;
    int r = coir_activation_take(name, &fd);
    if (r < 0)
        return r;
    r = coir_udp_adopt(fd, ret_udp);
    return r < 0 ? refuse(r, fd, name) : 0;
}
