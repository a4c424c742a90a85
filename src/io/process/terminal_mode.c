/* terminal_mode.c: modes of terminals that come back whatever happens.
 *
 * Each terminal whose mode was changed has a slot of static memory, with the mode that it had.
 * While there is one, handlers are in the places of those signals that would end or stop the
 * program: they restore, and then let the signal do what it did before. Signals that the program
 * handles itself are left alone: it goes on living, or ends in a way that passes here (exit,
 * coir_main). Faults are always taken, in front of whoever has them.
 *
 * A slot is written by its owner only while handlers do not look at it (state FREE or IDLE), and a
 * child of fork, which has a copy of all this, restores nothing. Slots of one terminal have one
 * original mode.
 */
#include <stdlib.h>

#include "io/process/sys.h"
#include "io/process/terminal.h"

enum { MOST = 16 };

/* IDLE: the original mode is in force for now, since the program was stopped. */
enum state { FREE, IDLE, CHANGED };

struct coir__mode {
    atomic_int state;
    int fd;
    dev_t device;
    struct termios original, wanted;
};

static struct coir__mode slots[MOST];
static _Atomic pid_t owner;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned taken; /* slots; under the lock */

/* ---- in handlers ---- */

void coir__terminal_restore(void)
{
    if (atomic_load(&owner) != getpid())
        return;
    sigset_t output, before; /* a program in the background may do this too */
    sigemptyset(&output);
    sigaddset(&output, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &output, &before);
    for (struct coir__mode *slot = slots; slot < slots + MOST; slot++) {
        int changed = CHANGED;
        if (atomic_compare_exchange_strong(&slot->state, &changed, IDLE))
            coir__sys_restore_mode(slot->fd, &slot->original);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void set_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &action, NULL);
}

static void on_end(int number)
{
    coir__terminal_restore();
    set_default(number);
    (void)raise(number); /* takes effect when this returns */
}

static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};
static struct sigaction before_faults[COIR_COUNT(faults)];

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    coir__terminal_restore();
    for (size_t i = 0; i < COIR_COUNT(faults); i++)
        if (faults[i] == number)
            (void)sigaction(number, &before_faults[i], NULL);
    if (info->si_code <= 0) /* sent by somebody, not by an instruction that will fault again */
        (void)raise(number);
}

/* The mode of a program that was continued in the background is not the terminal's. */
static bool in_foreground(int fd)
{
    pid_t group = tcgetpgrp(fd);
    return group < 0 || group == getpgrp();
}

static void change_again(void)
{
    if (atomic_load(&owner) != getpid())
        return;
    for (struct coir__mode *slot = slots; slot < slots + MOST; slot++) {
        if (atomic_load(&slot->state) == FREE || !in_foreground(slot->fd))
            continue;
        atomic_store(&slot->state, CHANGED);
        coir__sys_restore_mode(slot->fd, &slot->wanted);
    }
}

static void on_continue(int number)
{
    (void)number;
    int saved = errno;
    change_again();
    errno = saved;
}

static void take(int number, void (*handler)(int));

/* Stops here, and goes on when the program is continued; or at once, where the kernel stops nobody
 * because no shell could continue it. */
static void on_stop(int number)
{
    int saved = errno;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    coir__terminal_restore();
    set_default(number);
    (void)raise(number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    take(number, on_stop);
    change_again();
    errno = saved;
}

/* ---- dispositions ---- */

static const struct {
    int number;
    void (*handler)(int);
} defaults[] = {
    {SIGALRM, on_end}, {SIGCONT, on_continue}, {SIGHUP, on_end},    {SIGINT, on_end},
    {SIGIO, on_end},   {SIGPIPE, on_end},      {SIGPROF, on_end},   {SIGQUIT, on_end},
    {SIGTERM, on_end}, {SIGTSTP, on_stop},     {SIGTTIN, on_stop},  {SIGTTOU, on_stop},
    {SIGUSR1, on_end}, {SIGUSR2, on_end},      {SIGVTALRM, on_end}, {SIGXCPU, on_end},
    {SIGXFSZ, on_end},
};

/* Takes a signal that has its default. */
static void take(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK}, now;
    sigfillset(&action.sa_mask);
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)sigaction(number, &action, NULL);
}

static void take_signals(void)
{
    for (size_t i = 0; i < COIR_COUNT(defaults); i++)
        take(defaults[i].number, defaults[i].handler);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < COIR_COUNT(faults); i++)
        (void)sigaction(faults[i], &action, &before_faults[i]);
}

/* Whoever has put another handler in our place meanwhile keeps it; ours does no harm where it is
 * put back later. */
static void give_signals_back(void)
{
    struct sigaction now;
    for (size_t i = 0; i < COIR_COUNT(defaults); i++)
        if (sigaction(defaults[i].number, NULL, &now) == 0 && now.sa_handler == defaults[i].handler)
            set_default(defaults[i].number);
    for (size_t i = 0; i < COIR_COUNT(faults); i++)
        if (sigaction(faults[i], NULL, &now) == 0 && now.sa_sigaction == on_fault)
            (void)sigaction(faults[i], &before_faults[i], NULL);
}

/* ---- slots ---- */

/* A child of fork begins anew. Under the lock. */
static int begin(void)
{
    static bool registered;
    if (!registered && atexit(coir__terminal_restore) != 0)
        return -ENOMEM;
    registered = true;
    if (atomic_load(&owner) != getpid()) {
        for (struct coir__mode *slot = slots; slot < slots + MOST; slot++)
            atomic_store(&slot->state, FREE);
        taken = 0;
        atomic_store(&owner, getpid());
    }
    return 0;
}

/* Another slot of the same terminal, or NULL. Under the lock. */
static struct coir__mode *other_of(const struct coir__mode *one)
{
    for (struct coir__mode *slot = slots; slot < slots + MOST; slot++)
        if (slot != one && atomic_load(&slot->state) != FREE && slot->device == one->device)
            return slot;
    return NULL;
}

static int take_slot(int fd, struct coir__mode **ret_slot)
{
    struct termios original;
    struct stat status;
    int r = coir__sys_get_mode(fd, &original);
    if (r < 0)
        return r;
    if (fstat(fd, &status) < 0)
        return -errno;
    pthread_mutex_lock(&lock);
    r = begin();
    struct coir__mode *slot = slots;
    while (slot < slots + MOST && atomic_load(&slot->state) != FREE)
        slot++;
    if (r == 0 && slot == slots + MOST)
        r = -ENOSPC;
    if (r == 0) {
        slot->fd = fd;
        slot->device = status.st_rdev;
        const struct coir__mode *other = other_of(slot);
        slot->original = slot->wanted = other != NULL ? other->original : original;
        atomic_store(&slot->state, IDLE);
        if (taken++ == 0)
            take_signals();
        *ret_slot = slot;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

/* Who else has changed the mode of this terminal keeps it so. */
static void restore(const struct coir__mode *slot)
{
    const struct coir__mode *other = other_of(slot);
    coir__sys_restore_mode(slot->fd, other != NULL ? &other->wanted : &slot->original);
}

/* A signal between the two steps would end the program with its mode, or stop it: none comes. And
 * who is in the background may restore. */
static void free_slot(struct coir__mode *slot)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    if (atomic_load(&slot->state) == CHANGED)
        restore(slot);
    atomic_store(&slot->state, FREE);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void give_slot_back(struct coir__mode *slot)
{
    pthread_mutex_lock(&lock);
    if (atomic_load(&owner) == getpid()) {
        free_slot(slot);
        if (--taken == 0)
            give_signals_back();
    }
    pthread_mutex_unlock(&lock);
}

static struct termios make_mode(const struct termios *original, enum coir_terminal_mode wanted)
{
    struct termios mode = *original;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL);
    if (wanted == COIR_TERMINAL_KEYS)
        return mode;
    mode.c_lflag &= ~(tcflag_t)(ISIG | IEXTEN);
    mode.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    mode.c_oflag &= ~(tcflag_t)OPOST;
    mode.c_cflag = (mode.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    return mode;
}

/* A handler that runs between the two steps restores what was not changed yet. */
static int apply(struct coir__mode *slot, const struct termios *mode)
{
    struct termios before = slot->wanted;
    int was = atomic_exchange(&slot->state, IDLE);
    slot->wanted = *mode;
    atomic_store(&slot->state, CHANGED);
    int r;
    do
        r = coir__sys_set_mode(slot->fd, mode);
    while (r == -EINTR);
    if (r < 0) {
        atomic_store(&slot->state, IDLE);
        slot->wanted = before;
        atomic_store(&slot->state, was);
    }
    return r;
}

int coir__mode_set(struct coir__mode **mode, int fd, enum coir_terminal_mode wanted)
{
    if (wanted == COIR_TERMINAL_ORIGINAL) {
        if (*mode != NULL)
            give_slot_back(*mode);
        *mode = NULL;
        return 0;
    }
    bool fresh = *mode == NULL;
    int r = fresh ? take_slot(fd, mode) : 0;
    if (r < 0)
        return r;
    struct termios made = make_mode(&(*mode)->original, wanted);
    r = apply(*mode, &made);
    if (r < 0 && fresh) {
        give_slot_back(*mode);
        *mode = NULL;
    }
    return r;
}
