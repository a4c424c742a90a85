/* launch: how long a program takes from exec to its first useful line. Runs `launch PROGRAM
 * ARGS...` 41 times; the program prints CLOCK_MONOTONIC in nanoseconds as its first act in its
 * first task, and the clock is read here by the child as its last act before exec. Prints the
 * median. Owns only the child of the current round. */
#define _GNU_SOURCE
#include "measure.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 41 };

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* What the child printed, or -1. */
static int64_t read_number(int fd)
{
    char text[64];
    size_t length = 0;
    ssize_t n;
    while (length < sizeof text - 1 && (n = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = 0;
    return length ? strtoll(text, NULL, 10) : -1;
}

static int64_t launch_once(char **argv, volatile int64_t *started)
{
    int fds[2];
    if (pipe(fds))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        *started = measure_now_ns();
        execv(argv[0], argv);
        _exit(127);
    }
    close(fds[1]);
    int64_t reached = pid < 0 ? -1 : read_number(fds[0]);
    close(fds[0]);
    int status = -1;
    waitpid(pid, &status, 0);
    return reached < 0 || status != 0 ? -1 : reached - *started;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    int64_t *started =
        mmap(NULL, sizeof *started, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (started == MAP_FAILED)
        return 1;
    int64_t took[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        took[i] = launch_once(argv + 1, started);
        if (took[i] < 0) {
            fprintf(stderr, "%s did not print its time\n", argv[1]);
            return 1;
        }
    }
    qsort(took, ROUNDS, sizeof took[0], compare);
    measure_result("startup/ms", (double)took[ROUNDS / 2] / 1e6, "ms");
    return 0;
}
