/* child.h: runs a function in a process of its own, for tests that end it or look at what it
 * prints: what it wrote to standard output and standard error, and how it ended.
 */
#ifndef COIR_TESTS_CHILD_H
#define COIR_TESTS_CHILD_H

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    int status; /* as of waitpid */
    char output[4096];
};

/* fn runs in a copy of this process; when it returns, the copy ends with its result. */
static inline int child_run(struct child *child, int (*fn)(void *arg), void *arg)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        int code = fn(arg);
        fflush(stdout);
        _exit(code);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], child->output + length, sizeof child->output - 1 - length)) > 0)
        length += (size_t)n;
    child->output[length] = '\0';
    close(ends[0]);
    return pid > 0 && waitpid(pid, &child->status, 0) == pid ? 0 : -1;
}

#endif
