/* debug_hints.c: what debug mode suggests for well-known blocking calls. Each kind of call really
 * blocks; another thread lets it go as soon as its stack was taken, so a test takes as long as it
 * takes to notice. The names that the suggestions go by are then asked for one by one. What must
 * not be called anywhere else is called in brackets.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <coir/debug.h>

#include "core_kit.h"
#include "core_loop.h"
#include "debug/debug.h"

#define SLOW COIR_MS(20)

/* gcc and clang each say in their own way that this is a build for ThreadSanitizer. */
#if defined(__SANITIZE_THREAD__)
#define HOLDS_SIGNALS_BACK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOLDS_SIGNALS_BACK 1
#endif
#endif
#ifndef HOLDS_SIGNALS_BACK
#define HOLDS_SIGNALS_BACK 0
#endif

static const char for_sleep[] = "use coir_sleep, ";
static const char for_files[] =
    "use a stream (coir_stream_read, coir_stream_write) for what can wait, ";
static const char for_sockets[] = "use a stream or a listener, ";
static const char for_polls[] = "use coir_select, ";
static const char for_names[] = "use coir_blocking, which lets a thread look the name up";
static const char for_disks[] = "use coir_blocking, which lets a thread wait for the disk";
static const char for_threads[] = "use coir_lock or coir_event between tasks, ";
static const char for_processes[] = "use coir_blocking, which lets a thread wait for the process";

/* What the blocking calls wait for, and the other thread lets them have. */
static struct {
    int pipe[2], pair[2], server;
    char fifo[128];
    pthread_mutex_t mutex, gate;
    pthread_cond_t condition;
    bool open;
    sem_t semaphore, ready;
    pthread_t thread;
    pid_t child;
} world;

static volatile int sink;

/* ---- what blocks, and what lets it go ---- */

static void block_nanosleep(void)
{
    struct timespec two_seconds = {.tv_sec = 2};
    sink += nanosleep(&two_seconds, NULL);
}

static void block_usleep(void)
{
    sink += (usleep)(2000000);
}

static void block_sleep(void)
{
    sink += (int)(sleep)(2);
}

static void block_read(void)
{
    char byte;
    sink += (int)read(world.pipe[0], &byte, 1);
}

static void block_fgets(void)
{
    char line[16];
    FILE *file = fdopen(dup(world.pipe[0]), "r");
    sink += fgets(line, sizeof line, file) != NULL;
    sink += fclose(file);
}

static void write_line(void)
{
    sink += (int)write(world.pipe[1], "\n", 1);
}

static void block_recv(void)
{
    char byte;
    sink += (int)recv(world.pair[0], &byte, 1, 0);
}

static void send_byte(void)
{
    sink += (int)send(world.pair[1], "x", 1, 0);
}

static void block_poll(void)
{
    struct pollfd nothing = {.fd = world.pipe[0], .events = POLLIN};
    sink += poll(&nothing, 1, 2000);
}

static void block_select(void)
{
    struct timeval limit = {.tv_sec = 2};
    sink += select(0, NULL, NULL, NULL, &limit);
}

static void block_epoll_wait(void)
{
    struct epoll_event event;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    sink += epoll_wait(fd, &event, 1, 2000) + close(fd);
}

static void block_open(void)
{
    int fd = open(world.fifo, O_RDONLY | O_CLOEXEC);
    sink += close(fd);
}

static void open_other_end(void)
{
    int fd = open(world.fifo, O_WRONLY | O_CLOEXEC);
    sink += close(fd);
}

static void block_mutex_lock(void)
{
    sink += pthread_mutex_lock(&world.mutex);
    sink += pthread_mutex_unlock(&world.mutex);
}

static void block_sem_wait(void)
{
    sink += sem_wait(&world.semaphore);
}

static void post_semaphore(void)
{
    sink += sem_post(&world.semaphore);
}

static void block_cond_wait(void)
{
    sink += pthread_mutex_lock(&world.gate);
    while (!world.open)
        sink += pthread_cond_wait(&world.condition, &world.gate);
    sink += pthread_mutex_unlock(&world.gate);
}

static void open_gate(void)
{
    sink += pthread_mutex_lock(&world.gate);
    world.open = true;
    sink += pthread_cond_signal(&world.condition);
    sink += pthread_mutex_unlock(&world.gate);
}

static void *wait_for_semaphore(void *arg)
{
    sink += sem_wait(&world.semaphore);
    return arg;
}

static void block_join(void)
{
    sink += pthread_join(world.thread, NULL);
}

static void block_waitpid(void)
{
    int status;
    sink += waitpid(world.child, &status, 0);
}

static void block_system(void)
{
    char command[64];
    (void)snprintf(command, sizeof command, "read line <&%d", world.pipe[0]);
    sink += (system)(command);
}

static void block_getaddrinfo(void)
{
    struct addrinfo wanted = {.ai_family = AF_INET}, *found = NULL;
    sink += (getaddrinfo)("blocked.example.", NULL, &wanted, &found);
}

/* Answers that there is no such name. */
static void answer(void)
{
    unsigned char message[512];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(world.server, message, sizeof message, 0, (void *)&from, &size);
    if (n < 4)
        return;
    message[2] |= 0x80;
    message[3] = 3;
    sink += (int)sendto(world.server, message, (size_t)n, 0, (void *)&from, size);
}

/* ---- one after the other ---- */

static const struct blocker {
    const char *call, *hint;
    void (*block)(void);
    void (*release)(void); /* NULL: the signal ends it */
} blockers[] = {
    {"nanosleep", for_sleep, block_nanosleep, NULL},
    {"usleep", for_sleep, block_usleep, NULL},
    {"sleep", for_sleep, block_sleep, NULL},
    {"read", for_files, block_read, write_line},
    {"fgets", for_files, block_fgets, write_line},
    {"recv", for_sockets, block_recv, send_byte},
    {"poll", for_polls, block_poll, NULL},
    {"select", for_polls, block_select, NULL},
    {"epoll_wait", for_polls, block_epoll_wait, NULL},
    {"open", for_disks, block_open, open_other_end},
    {"mutex_lock", for_threads, block_mutex_lock, NULL},
    {"sem_wait", for_threads, block_sem_wait, post_semaphore},
    {"cond_wait", for_threads, block_cond_wait, open_gate},
    {"join", for_threads, block_join, post_semaphore},
    {"waitpid", for_processes, block_waitpid, write_line},
    {"system", for_processes, block_system, write_line},
};

/* Lets the blocking call go when its stack was taken, or after ten seconds. */
struct release {
    const struct blocker *blocker;
    const volatile uint64_t *taken;
    uint64_t before;
};

static void *release_later(void *arg)
{
    const struct release *release = arg;
    bool holds = release->blocker->block == block_mutex_lock;
    if (holds)
        sink += pthread_mutex_lock(&world.mutex);
    sink += sem_post(&world.ready);
    for (int i = 0; i < 10000 && *release->taken == release->before; i++)
        sink += poll(NULL, 0, 1);
    if (release->blocker->release != NULL)
        release->blocker->release();
    if (holds)
        sink += pthread_mutex_unlock(&world.mutex);
    return NULL;
}

static int block_once(void *arg)
{
    const struct blocker *blocker = arg;
    const volatile uint64_t *taken = &coir__loop->debug->sample.step;
    struct release release = {blocker, taken, *taken};
    pthread_t thread;
    if (pthread_create(&thread, NULL, release_later, &release) != 0)
        return -EAGAIN;
    sink += sem_wait(&world.ready);
    int r = coir_yield();
    coir_debug_set_slow_step(NULL, SLOW);
    blocker->block();
    if (r >= 0)
        r = coir_yield();
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    sink += pthread_join(thread, NULL);
    return r;
}

/* Whether the C library has unwind tables from where it blocks to where it was called. */
static bool has_tables(const struct blocker *blocker)
{
#if !defined(__GLIBC__)
    return blocker == NULL; /* musl has none at all */
#elif defined(__riscv)
    return blocker->block != block_epoll_wait && blocker->block != block_mutex_lock &&
           blocker->block != block_join && blocker->block != block_getaddrinfo;
#else
    return blocker != NULL;
#endif
}

static void expect_hint(const struct blocker *blocker)
{
    size_t count, before;
    (void)coir_test_reports(&before);
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, block_once, (void *)(uintptr_t)blocker, &task));
    coir_task_set_name(task, "%s", blocker->call);
    COIR_REQUIRE_OK(coir_join(task, NULL));
    const coir_test_report *reports = coir_test_reports(&count);
    if (!COIR_EXPECT_EQ(count, before + 1))
        return;
    char who[64], hint[96];
    (void)snprintf(who, sizeof who, "task '%s' (", blocker->call);
    (void)snprintf(hint, sizeof hint, "\n  hint: %s", blocker->hint);
    COIR_EXPECT_CONTAINS(reports[before].text, who);
    if (!has_tables(blocker))
        return;
    COIR_EXPECT_CONTAINS(reports[before].text, hint);
    COIR_EXPECT_CONTAINS(reports[before].text, "\n    block_once");
}

static bool open_world(void)
{
    (void)snprintf(world.fifo, sizeof world.fifo, "%s/fifo", coir_test_tmpdir());
    bool opened = pipe(world.pipe) == 0 && mkfifo(world.fifo, 0600) == 0 &&
                  socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, world.pair) == 0;
    (void)pthread_mutex_init(&world.mutex, NULL);
    (void)pthread_mutex_init(&world.gate, NULL);
    (void)pthread_cond_init(&world.condition, NULL);
    (void)sem_init(&world.semaphore, 0, 0);
    (void)sem_init(&world.ready, 0, 0);
    return opened;
}

static bool start_those_that_are_waited_for(const struct blocker *blocker)
{
    if (blocker->block == block_join)
        return pthread_create(&world.thread, NULL, wait_for_semaphore, NULL) == 0;
    if (blocker->block != block_waitpid)
        return true;
    world.child = fork();
    if (world.child == 0) {
        char byte;
        _exit(read(world.pipe[0], &byte, 1) == 1 ? 0 : 1);
    }
    return world.child > 0;
}

COIR_TEST_TAGGED(blocking_calls_get_a_hint, "expect_reports,no_torture,limit=60")
{
    if (HOLDS_SIGNALS_BACK)
        COIR_SKIP("ThreadSanitizer holds signals back until its own functions are entered");
    COIR_REQUIRE(open_world());
    COIR_REQUIRE_OK(coir_debug_set(NULL, true));
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    for (size_t i = 0; i < COIR_COUNT(blockers); i++) {
        COIR_REQUIRE(start_those_that_are_waited_for(&blockers[i]));
        expect_hint(&blockers[i]);
    }
    (void)close(world.pipe[0]);
    (void)close(world.pipe[1]);
    (void)close(world.pair[0]);
    (void)close(world.pair[1]);
}

/* ---- a look-up ---- */

/* Puts a file in the place of another one, for this thread's namespace. */
static bool replace(const char *path, const char *text)
{
    char own[160];
    (void)snprintf(own, sizeof own, "%s%s", coir_test_tmpdir(), strrchr(path, '/'));
    FILE *file = fopen(own, "we");
    if (file == NULL)
        return false;
    bool written = fputs(text, file) >= 0;
    written = fclose(file) == 0 && written;
    return written && (mount(own, path, "none", MS_BIND, NULL) == 0 || errno == ENOENT);
}

static bool bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    (void)close(fd);
    return up;
}

static bool open_silent_server(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    world.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return world.server >= 0 && bind(world.server, (void *)&address, sizeof address) == 0;
}

/* Gives this thread files and a network of its own, where names are asked of a socket that says
 * nothing by itself. */
static bool enter_own_world(void)
{
    return (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 ||
            unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) == 0) &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           replace("/etc/resolv.conf", "nameserver 127.0.0.1\n") &&
           replace("/etc/nsswitch.conf", "hosts: dns\n") && bring_up_loopback() &&
           open_silent_server();
}

COIR_TEST_TAGGED(a_look_up_gets_a_hint, "expect_reports,no_torture,limit=60")
{
    static const struct blocker blocker = {"getaddrinfo", for_names, block_getaddrinfo, answer};
    if (HOLDS_SIGNALS_BACK)
        COIR_SKIP("ThreadSanitizer holds signals back until its own functions are entered");
    COIR_REQUIRE(coir_test_tmpdir() != NULL);
    if (!enter_own_world())
        COIR_SKIP("no namespaces of its own, in which names could be asked of nobody");
    (void)sem_init(&world.ready, 0, 0);
    COIR_REQUIRE_OK(coir_debug_set(NULL, true));
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    expect_hint(&blocker);
    (void)close(world.server);
}

/* ---- all names ---- */

struct names {
    const char *functions, *hint;
};

static const struct names all[] = {
    {"sleep usleep nanosleep clock_nanosleep thrd_sleep", for_sleep},
    {"read readv pread pread64 write writev pwrite pwrite64 fread fwrite fgets getline getc",
     for_files},
    {"recv recvfrom recvmsg send sendto sendmsg accept accept4 connect", for_sockets},
    {"poll ppoll select pselect epoll_wait epoll_pwait", for_polls},
    {"getaddrinfo gethostbyname gethostbyaddr getnameinfo", for_names},
    {"fsync fdatasync sync syncfs open open64 openat rename unlink ftruncate stat fstatat",
     for_disks},
    {"pthread_mutex_lock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_cond_wait "
     "pthread_cond_timedwait sem_wait sem_timedwait pthread_join pthread_barrier_wait",
     for_threads},
    {"system popen pclose wait waitpid wait4 waitid", for_processes},
};

static void expect_hint_for(const char *function, const char *hint)
{
    const char *given = NULL;
    char text[256], what[512];
    struct coir__symbols symbols = {.count = 0};
    void *address = dlsym(RTLD_NEXT, function);
    if (address == NULL)
        return; /* older C libraries have stat as something else */
    struct coir__frames frames = {.at = {(uintptr_t)address}, .count = 1};
    (void)coir__frames_format(&frames, &symbols, 4, text, sizeof text, &given);
    coir__symbols_close(&symbols);
    (void)snprintf(what, sizeof what, "%s (%s):%s", function, text + 5,
                   given != NULL ? given : "none");
    COIR_EXPECT_CONTAINS(what, hint);
}

COIR_TEST_TAGGED(each_name_has_its_hint, "no_torture")
{
    for (size_t i = 0; i < COIR_COUNT(all); i++) {
        char names[256], *rest = names;
        (void)snprintf(names, sizeof names, "%s", all[i].functions);
        for (char *name; (name = strsep(&rest, " ")) != NULL;)
            expect_hint_for(name, all[i].hint);
    }
}
