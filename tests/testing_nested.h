/* testing_nested.h: runs the runner inside a test, on the tests of the tag meta: those fail on
 * purpose, and only when asked for by name. What the inner runner prints is kept for the test to
 * look at.
 */
#ifndef COIR_TESTS_TESTING_NESTED_H
#define COIR_TESTS_TESTING_NESTED_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coir/testing.h>

struct nested {
    int code; /* of the inner runner */
    char output[16384];
};

#define NESTED_ARGUMENTS 12

/* The inner runner, in a process of its own: nothing of the outer one's state is touched. */
static inline void nested_child(int output, const char *const *arguments)
{
    char *argv[NESTED_ARGUMENTS + 2] = {(char *)(uintptr_t) "nested"};
    int argc = 1;
    for (; arguments[argc - 1] != NULL && argc <= NESTED_ARGUMENTS; argc++)
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
    int code = coir_test_main(argc, argv);
    fflush(NULL);
    _exit(code);
}

/* Runs the runner with arguments that NULL ends. */
static inline void nested_run(struct nested *nested, const char *const *arguments)
{
    int ends[2];
    nested->code = -1;
    nested->output[0] = '\0';
    if (pipe(ends) < 0)
        return;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        nested_child(ends[1], arguments);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], nested->output + length, sizeof nested->output - 1 - length)) > 0)
        length += (size_t)n;
    nested->output[length] = '\0';
    close(ends[0]);
    int status = 0;
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
        nested->code = WEXITSTATUS(status);
    fputs(nested->output, stderr); /* for whoever looks at a failure */
}

#define NESTED_RUN(nested, ...) nested_run((nested), (const char *const[]){__VA_ARGS__, NULL})

/* Expects that an inner run fails, and what it says. */
#define EXPECT_NESTED_FAILURE(text, ...)                                                           \
    do {                                                                                           \
        static struct nested nested_result;                                                        \
        NESTED_RUN(&nested_result, __VA_ARGS__);                                                   \
        COIR_EXPECT_EQ(nested_result.code, 1);                                                     \
        COIR_EXPECT_CONTAINS(nested_result.output, "0 passed, 1 failed\n");                        \
        COIR_EXPECT_CONTAINS(nested_result.output, text);                                          \
    } while (0)

#define EXPECT_NESTED_SUCCESS(...)                                                                 \
    do {                                                                                           \
        static struct nested nested_result;                                                        \
        NESTED_RUN(&nested_result, __VA_ARGS__);                                                   \
        COIR_EXPECT_EQ(nested_result.code, 0);                                                     \
        COIR_EXPECT_CONTAINS(nested_result.output, "1 passed, 0 failed\n");                        \
    } while (0)

#endif
