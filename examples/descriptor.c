/* descriptor.c: waiting for a descriptor that belongs to somebody else, here a pipe.
 *
 * This is how a library with its own non-blocking calls is used from tasks: it does the reading,
 * coir_fd_wait only says when that is worth trying. COIR_ON_DESCRIPTOR is the same for
 * coir_select.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <unistd.h>

static int writes(void *arg)
{
    const int *fd = arg;
    for (const char *letter = "abc"; *letter != '\0'; letter++) {
        COIR_TRY(coir_sleep(COIR_MS(10)));
        if (write(*fd, letter, 1) < 0)
            return -errno;
    }
    return close(*fd);
}

static int reads(void *arg)
{
    const int *fd = arg;
    char letter;
    ssize_t n;
    do {
        COIR_TRY(coir_fd_wait(*fd, POLLIN));
        n = read(*fd, &letter, 1);
        if (n > 0)
            printf("%c\n", letter);
    } while (n > 0);
    printf("the end\n");
    return close(*fd);
}

static int app(void *arg)
{
    (void)arg;
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    coir_call calls[] = {{.fn = reads, .arg = &ends[0]}, {.fn = writes, .arg = &ends[1]}};
    return coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST);
}

int main(void)
{
    return coir_main(app, NULL);
}
