/* frames.c: walks over stacks by frame pointers, and stacks in words.
 *
 * A frame record is the caller's frame pointer and the return address. The frame pointer points to
 * it, but on riscv64 to its end. A parked task's chain begins in its saved context. A sample was
 * taken anywhere, perhaps in a function of the C library that uses the frame pointer's register for
 * something else: then the copied stack is searched for the first record that can be one, and words
 * that are return addresses stand for the frames before it.
 */
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "debug/debug.h"

#if defined(__riscv)
#define RECORD_BELOW 16 /* a record begins this far below its frame pointer */
#else
#define RECORD_BELOW 0
#endif

/* Without the signature that pointer authentication puts into the upper bits. */
static uintptr_t plain(uintptr_t address)
{
#if defined(__aarch64__)
    return address & ((UINT64_C(1) << 48) - 1);
#else
    return address;
#endif
}

static void add(struct coir__frames *frames, uintptr_t pc)
{
    if (pc != 0 && frames->count < COIR__FRAMES_MOST)
        frames->at[frames->count++] = plain(pc);
}

/* Follows the chain from fp through memory between low and high. */
COIR__UNCHECKED static void walk(struct coir__frames *frames, uintptr_t fp, uintptr_t low,
                                 uintptr_t high)
{
    uintptr_t at = fp - RECORD_BELOW; /* of a frame pointer that is 0: no address */
    while (at >= low && at < high && high - at >= 16 && at % 8 == 0 &&
           frames->count < COIR__FRAMES_MOST) {
        const volatile uintptr_t *record = (const volatile uintptr_t *)at;
        add(frames, record[1]);
        low = at + 16; /* outer frames lie above */
        at = record[0] - RECORD_BELOW;
    }
}

COIR__UNCHECKED void coir__frames_parked(const struct coir_task *task,
                                         struct coir__frames *ret_frames)
{
    char *low, *high;
    coir__stack_bounds(task, &low, &high);
    ret_frames->count = 0;
    ret_frames->here = false;
    const volatile uintptr_t *sp = task->context.sp; /* see switch_*.S */
    if ((const char *)task->context.sp < low || (const char *)task->context.sp >= high)
        return;
#if defined(__x86_64__)
    add(ret_frames, sp[0]);
    walk(ret_frames, sp[6], (uintptr_t)low, (uintptr_t)high);
#else
    add(ret_frames, sp[1]);
    walk(ret_frames, sp[0], (uintptr_t)low, (uintptr_t)high);
#endif
}

static void thread_bounds(char **ret_low, char **ret_high)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &low, &size);
        (void)pthread_attr_destroy(&attributes);
    }
    *ret_low = low;
    *ret_high = *ret_low + size;
}

void coir__frames_from(const struct coir_task *task, const void *frame,
                       struct coir__frames *ret_frames)
{
    char *low, *high;
    if (task != NULL)
        coir__stack_bounds(task, &low, &high);
    else
        thread_bounds(&low, &high);
    ret_frames->count = 0;
    ret_frames->here = false;
    walk(ret_frames, (uintptr_t)frame, (uintptr_t)low, (uintptr_t)high);
}

void coir__frames_here(const struct coir_task *task, struct coir__frames *ret_frames)
{
    coir__frames_from(task, __builtin_frame_address(0), ret_frames);
    ret_frames->here = true;
}

/* ---- samples ---- */

COIR__UNCHECKED void coir__sample_take(struct coir__sample *sample, uint64_t step,
                                       const void *ucontext, uintptr_t low, uintptr_t high)
{
    const ucontext_t *context = ucontext;
#if defined(__x86_64__)
    sample->pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    sample->fp = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
    sample->sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    sample->link = 0;
#elif defined(__riscv)
    sample->pc = (uintptr_t)context->uc_mcontext.__gregs[REG_PC];
    sample->fp = (uintptr_t)context->uc_mcontext.__gregs[REG_S0];
    sample->sp = (uintptr_t)context->uc_mcontext.__gregs[REG_SP];
    sample->link = (uintptr_t)context->uc_mcontext.__gregs[REG_RA];
#else
    sample->pc = (uintptr_t)context->uc_mcontext.pc;
    sample->fp = (uintptr_t)context->uc_mcontext.regs[29];
    sample->sp = (uintptr_t)context->uc_mcontext.sp;
    sample->link = (uintptr_t)context->uc_mcontext.regs[30];
#endif
    sample->high = high;
    sample->length = 0;
    if (sample->sp >= low && sample->sp < high && sample->sp % 8 == 0) {
        size_t length = high - sample->sp;
        length = length < COIR__SAMPLE_SIZE ? length : COIR__SAMPLE_SIZE;
        const volatile uintptr_t *from = (const volatile uintptr_t *)sample->sp;
        volatile uintptr_t *to = (volatile uintptr_t *)(void *)sample->copy;
        for (size_t i = 0; i < length / sizeof *to; i++)
            to[i] = from[i];
        sample->length = length / sizeof *to * sizeof *to;
    }
    sample->chain.count = 0;
    if (sample->fp >= sample->sp)
        walk(&sample->chain, sample->fp, low, high);
    sample->step = step;
}

static uintptr_t word(const struct coir__sample *sample, uintptr_t address)
{
    uintptr_t value;
    memcpy(&value, sample->copy + (address - sample->sp), sizeof value);
    return value;
}

/* Whether address lies in a function, right behind a call. */
static bool follows_call(struct coir__symbols *symbols, uintptr_t address)
{
    struct coir__symbol symbol;
    if (address < 4096)
        return false;
    coir__symbol_find(symbols, plain(address) - 1, &symbol);
    if (!symbol.known)
        return false;
    const uint8_t *code = (const uint8_t *)plain(address);
#if defined(__x86_64__)
    return code[-5] == 0xe8 || (code[-2] == 0xff && (code[-1] & 0x38) == 0x10) ||
           (code[-3] == 0xff && (code[-2] & 0x38) == 0x10) ||
           (code[-6] == 0xff && (code[-5] & 0x38) == 0x10);
#elif defined(__riscv)
    uint32_t call; /* jal ra and jalr ra, and the short jalr */
    memcpy(&call, code - 4, sizeof call);
    return (call & 0xfff) == 0x0ef || (call & 0x7fff) == 0x00e7 ||
           ((call >> 16 & 0xf07f) == 0x9002 && (call >> 16 & 0x0f80) != 0);
#else
    uint32_t call;
    memcpy(&call, code - 4, sizeof call);
    return (call & 0xfc000000) == 0x94000000 || (call & 0xfffffc1f) == 0xd63f0000;
#endif
}

/* Whether a record can lie at an address, which may be any number. */
static bool is_inside(const struct coir__sample *sample, uintptr_t at)
{
    return at >= sample->sp && at % 8 == 0 && sample->length >= 16 &&
           at - sample->sp <= sample->length - 16;
}

static bool is_record(const struct coir__sample *sample, struct coir__symbols *symbols,
                      uintptr_t at)
{
    return is_inside(sample, at) && follows_call(symbols, word(sample, at + 8));
}

/* The record of the frame pointer, or of what a callee has saved of it. 0: none is found. */
static uintptr_t find_record(const struct coir__sample *sample, struct coir__symbols *symbols)
{
    enum { FAR = 4096 };
    if (is_record(sample, symbols, sample->fp - RECORD_BELOW))
        return sample->fp - RECORD_BELOW;
    for (size_t i = 0; i + 8 <= sample->length && i < FAR; i += 8) {
        uintptr_t at = sample->sp + i, saved = word(sample, at) - RECORD_BELOW;
        if (saved > at && is_record(sample, symbols, saved))
            return saved;
    }
    return 0;
}

/* Where a function without a record returns to, or 0. A register that has the return address keeps
 * that of the last call: it is of use unless that is one of the function's own, or the record's. */
static uintptr_t caller_of_leaf(const struct coir__sample *sample, struct coir__symbols *symbols,
                                const struct coir__symbol *leaf, uintptr_t record)
{
#if defined(__x86_64__)
    (void)leaf, (void)record;
    uintptr_t address = sample->length >= 8 ? word(sample, sample->sp) : 0;
    return follows_call(symbols, address) ? address : 0;
#else
    struct coir__symbol symbol;
    if (!follows_call(symbols, sample->link) ||
        (record != 0 && word(sample, record + 8) == sample->link))
        return 0;
    coir__symbol_find(symbols, plain(sample->link) - 1, &symbol);
    return strcmp(symbol.name, leaf->name) != 0 ? sample->link : 0;
#endif
}

/* Return addresses below the first record: of functions without one. They end with the one whose
 * frame the record is, which is the first of another module than where the thread was. */
static void add_unrecorded(const struct coir__sample *sample, struct coir__symbols *symbols,
                           uintptr_t record, struct coir__frames *frames)
{
    enum { MOST = 8 };
    struct coir__symbol inside, symbol;
    coir__symbol_find(symbols, sample->pc, &inside);
    if (inside.module[0] == '\0') { /* the program's own functions have records, but for leaves */
        uintptr_t address = caller_of_leaf(sample, symbols, &inside, record);
        if (address != 0)
            add(frames, address);
        return;
    }
    uintptr_t end = record != 0 ? record : sample->sp + sample->length;
    for (uintptr_t at = sample->sp; at + 8 <= end && frames->count < MOST; at += 8) {
        uintptr_t address = word(sample, at);
        if (!follows_call(symbols, address))
            continue;
        coir__symbol_find(symbols, plain(address) - 1, &symbol);
        add(frames, address);
        if (strcmp(symbol.module, inside.module) != 0)
            return;
    }
}

void coir__frames_sampled(const struct coir__sample *sample, struct coir__symbols *symbols,
                          struct coir__frames *ret_frames)
{
    ret_frames->count = 0;
    ret_frames->here = false;
    add(ret_frames, sample->pc);
    uintptr_t record = find_record(sample, symbols);
    add_unrecorded(sample, symbols, record, ret_frames);
    bool whole = record == sample->fp - RECORD_BELOW;
    for (size_t i = 0; whole && i < sample->chain.count; i++)
        add(ret_frames, sample->chain.at[i]);
    if (whole)
        return;
    while (record != 0 && is_inside(sample, record) && ret_frames->count < COIR__FRAMES_MOST) {
        add(ret_frames, word(sample, record + 8));
        uintptr_t outer = word(sample, record) - RECORD_BELOW;
        record = outer > record ? outer : 0;
    }
}

/* ---- in words ---- */

struct hint {
    const char *functions; /* separated by spaces, with one at both ends */
    const char *text;
};

static const struct hint hints[] = {
    {" sleep usleep nanosleep clock_nanosleep thrd_sleep ",
     "use coir_sleep, which lets the other tasks run"},
    {" read readv pread pread64 write writev pwrite pwrite64 fread fwrite fgets getline getc ",
     "use a stream (coir_read, coir_write) for what can wait, coir_blocking for files"},
    {" recv recvfrom recvmsg send sendto sendmsg accept accept4 connect ",
     "use a stream or a listener, or coir_wait_readable for a descriptor of your own"},
    {" poll ppoll select pselect epoll_wait epoll_pwait ",
     "use coir_select, or coir_wait_readable and the like for descriptors"},
    {" getaddrinfo gethostbyname gethostbyaddr getnameinfo ",
     "use coir_blocking, which lets a thread look the name up"},
    {" fsync fdatasync sync syncfs open open64 openat rename unlink stat fstatat ftruncate ",
     "use coir_blocking, which lets a thread wait for the disk"},
    {" pthread_mutex_lock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_cond_wait "
     "pthread_cond_timedwait sem_wait sem_timedwait pthread_join pthread_barrier_wait futex ",
     "use coir_lock or coir_event between tasks, coir_blocking to wait for threads"},
    {" system popen pclose wait waitpid wait4 waitid ",
     "use coir_blocking, which lets a thread wait for the process"},
};

/* What is called without the prefixes that libraries give their inner names. */
static const char *bare(const char *name)
{
    static const char *const prefixes[] = {"__interceptor_", "__GI_", "__libc_", "_"};
    for (size_t i = 0; i < COIR_COUNT(prefixes); i++)
        while (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            name += strlen(prefixes[i]);
    return name;
}

static const char *hint_for(const char *name)
{
    char wanted[80];
    (void)snprintf(wanted, sizeof wanted, " %.70s ", bare(name));
    for (size_t i = 0; i < COIR_COUNT(hints); i++)
        if (strstr(hints[i].functions, wanted) != NULL)
            return hints[i].text;
    return NULL;
}

/* The library's own functions between the call and the switch, and below the task's function. */
static bool is_inner(const struct coir__symbol *symbol)
{
    return strncmp(symbol->name, "coir__", 6) == 0 && strncmp(symbol->name, "coir__test_", 11) != 0;
}

/* The innermost functions are this room's, then some of the library, then the one that was called:
 * the first whose name is public, or which a macro of that name calls. */
static bool is_call(const struct coir__symbol *symbol)
{
    static const char *const behind_macros =
        " send try_send receive try_receive queue_put queue_try_put queue_get queue_try_get "
        "watch_set watch_get watcher_next watcher_try_next broadcast_send broadcast_try_send "
        "subscription_receive subscription_try_receive generator_next generator_yield ";
    char wanted[80];
    if (strncmp(symbol->name, "coir_", 5) != 0)
        return false;
    if (symbol->name[5] != '_')
        return true;
    (void)snprintf(wanted, sizeof wanted, " %.70s ", symbol->name + 6);
    return strstr(behind_macros, wanted) != NULL;
}

/* coir__send is called as coir_send, and coir_spawn_at as coir_spawn. */
static void name_macro(char *name)
{
    if (name[5] == '_')
        memmove(name + 5, name + 6, strlen(name + 5));
    size_t length = strlen(name);
    if (length > 3 && strcmp(name + length - 3, "_at") == 0 && strcmp(name, "coir_call_at") != 0)
        name[length - 3] = '\0';
}

size_t coir__frames_call(const struct coir__frames *frames, struct coir__symbols *symbols,
                         struct coir__symbol *ret_symbol)
{
    enum { MOST = 7 }; /* frames of the library above it */
    struct coir__symbol symbol;
    size_t call = frames->count;
    for (size_t i = 0; i < frames->count && (i < MOST || call < i); i++) {
        coir__symbol_find(symbols, frames->at[i] - 1, &symbol);
        if (is_call(&symbol)) { /* one that calls another is what the program has called */
            call = i;
            *ret_symbol = symbol;
        } else if (call < i) {
            break;
        }
    }
    if (call < frames->count)
        name_macro(ret_symbol->name);
    return call;
}

size_t coir__frames_format(const struct coir__frames *frames, struct coir__symbols *symbols,
                           int indent, char *text, size_t size, const char **ret_hint)
{
    size_t length = 0;
    struct coir__symbol symbol;
    size_t call = frames->here ? coir__frames_call(frames, symbols, &symbol) : frames->count;
    size_t i = 0;
    if (call < frames->count) {
        length = (size_t)snprintf(text, size, "\n%*s%s", indent, "", symbol.name);
        i = call + 1;
    }
    text[length] = '\0';
    if (ret_hint != NULL)
        *ret_hint = NULL;
    for (; i < frames->count; i++) {
        coir__symbol_find(symbols, frames->at[i] - (i > 0), &symbol);
        if (is_inner(&symbol))
            continue;
        bool foreign = symbol.module[0] != '\0';
        int n = snprintf(text + length, size - length, "\n%*s%s%s%s", indent, "", symbol.name,
                         foreign ? " in " : "", symbol.module);
        if (n < 0 || (size_t)n >= size - length) {
            text[length] = '\0';
            break;
        }
        length += (size_t)n;
        const char *hint = ret_hint != NULL && foreign ? hint_for(symbol.name) : NULL;
        if (hint != NULL)
            *ret_hint = hint; /* the outermost one is what the program called */
    }
    return length;
}
