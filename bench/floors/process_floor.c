/* Floor of process_spawn: the C library's posix_spawn, and waitid. usage: process_floor NAME. As in
 * the benchmark, the program does nothing, and the next one starts when it has ended. */
#include "../measure.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    enum { PROGRAMS = 1000 };
    char *arguments[] = {(char *)"/bin/true", NULL};
    int64_t start = measure_now_ns();
    for (int i = 0; i < PROGRAMS; i++) {
        pid_t pid;
        siginfo_t info;
        if (posix_spawn(&pid, arguments[0], NULL, NULL, arguments, environ) != 0 ||
            waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
            return 1;
    }
    double seconds = (double)(measure_now_ns() - start) / 1e9;
    measure_result(argc > 1 ? argv[1] : "process_spawn/rate", PROGRAMS / seconds, "/s");
    return 0;
}
