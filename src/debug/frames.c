/* frames.c: walks over stacks, and stacks in words.
 *
 * A walk goes by the unwind tables (unwind.c), and from where they end by frame pointers: a record
 * of the caller's frame pointer and the return address, to which the frame pointer points, but on
 * riscv64 to its end. It begins in the saved context of a parked task, in the function that asks,
 * or in the registers of a sample, which was taken anywhere. Nothing is guessed: where neither way
 * goes on, the walk ends.
 */
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "debug/debug.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(data, size) 0
#endif

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

struct stack {
    uintptr_t low, high;
};

COIR__UNCHECKED static bool read_stack(const void *memory, uintptr_t address, uintptr_t *ret_value)
{
    const struct stack *stack = memory;
    if (address < stack->low || address >= stack->high || stack->high - address < sizeof address ||
        address % 8 != 0)
        return false;
    *ret_value = *(const volatile uintptr_t *)address;
    (void)VALGRIND_MAKE_MEM_DEFINED(ret_value, sizeof *ret_value); /* a stack has holes */
    return true;
}

struct record {
    uintptr_t at, fp, pc; /* where it lies, and what it says of the caller */
};

/* Reads the record of a frame pointer. Returns false when it is none, which 0 is, or lies below
 * low. */
COIR__UNCHECKED static bool read_record(coir__read_fn read, const void *memory, uintptr_t low,
                                        uintptr_t fp, struct record *ret_record)
{
    ret_record->at = fp - RECORD_BELOW;
    return fp > RECORD_BELOW && ret_record->at >= low &&
           read(memory, ret_record->at, &ret_record->fp) &&
           read(memory, ret_record->at + 8, &ret_record->pc) && ret_record->pc != 0;
}

/* Follows the tables from registers on. Returns false when they end before the stack does; then
 * registers are those of the last function that was found. */
static bool unwind(struct coir__frames *frames, struct coir__registers *registers,
                   coir__read_fn read, const void *memory)
{
    int r = 1;
    while (r == 1 && frames->count < COIR__FRAMES_MOST) {
        add(frames, registers->pc);
        r = coir__unwind_step(registers, read, memory);
        registers->pc = plain(registers->pc);
    }
    return r >= 0;
}

static void give(struct coir__registers *registers, unsigned number, uintptr_t value)
{
    registers->value[number] = value;
    registers->known |= UINT64_C(1) << number;
}

/* Follows a stack in its place. */
static void follow(struct coir__frames *frames, struct coir__registers *registers,
                   const struct stack *stack)
{
    frames->count = 0;
    if (unwind(frames, registers, read_stack, stack))
        return;
    struct record record;
    uintptr_t low = registers->value[COIR__SP], fp = registers->value[COIR__FP];
    if (!(registers->known & (UINT64_C(1) << COIR__FP)))
        return;
    while (frames->count < COIR__FRAMES_MOST && read_record(read_stack, stack, low, fp, &record)) {
        add(frames, record.pc);
        low = record.at + 16; /* outer frames lie above */
        fp = record.fp;
    }
}

void coir__frames_parked(const struct coir_task *task, struct coir__frames *ret_frames)
{
    char *low, *high;
    coir__stack_bounds(task, &low, &high);
    struct stack stack = {(uintptr_t)low, (uintptr_t)high};
    struct coir__registers registers = {.pc = 0};
    uintptr_t sp = (uintptr_t)task->context.sp, value; /* see switch_*.S */
    ret_frames->count = 0;
    ret_frames->here = false;
#if defined(__x86_64__)
    static const uint8_t saved[] = {15, 14, 13, 12, 3, 6};
    if (!read_stack(&stack, sp, &registers.pc))
        return;
    for (unsigned i = 0; i < sizeof saved; i++)
        if (read_stack(&stack, sp + 8 + 8 * i, &value))
            give(&registers, saved[i], value);
    give(&registers, COIR__SP, sp + 56);
#elif defined(__riscv)
    static const uint8_t saved[] = {8, 1, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27};
    if (!read_stack(&stack, sp + 8, &registers.pc))
        return;
    for (unsigned i = 0; i < sizeof saved; i++)
        if (read_stack(&stack, sp + 8 * i, &value))
            give(&registers, saved[i], value);
    give(&registers, COIR__SP, sp + 208);
#else
    if (!read_stack(&stack, sp + 8, &registers.pc))
        return;
    if (read_stack(&stack, sp, &value))
        give(&registers, COIR__FP, value);
    for (unsigned i = 19; i < 29; i++)
        if (read_stack(&stack, sp + 16 + 8 * (i - 19), &value))
            give(&registers, i, value);
    give(&registers, COIR__SP, sp + 160);
#endif
    registers.pc = plain(registers.pc);
    follow(ret_frames, &registers, &stack);
}

/* The stack of the calling thread itself. */
static struct stack thread_stack(void)
{
    struct stack stack = {0, 0};
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return stack;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0)
        stack = (struct stack){(uintptr_t)low, (uintptr_t)low + size};
    (void)pthread_attr_destroy(&attributes);
    return stack;
}

void coir__frames_from(const struct coir_task *task, const void *frame,
                       struct coir__frames *ret_frames)
{
    struct stack stack;
    struct coir__registers registers = {.pc = 0};
    struct record record;
    if (task != NULL) {
        char *low, *high;
        coir__stack_bounds(task, &low, &high);
        stack = (struct stack){(uintptr_t)low, (uintptr_t)high};
    } else {
        stack = thread_stack();
    }
    ret_frames->count = 0;
    ret_frames->here = false;
    if (!read_record(read_stack, &stack, 0, (uintptr_t)frame, &record))
        return;
    registers.pc = plain(record.pc);
    give(&registers, COIR__FP, record.fp);
#if defined(__x86_64__)
    give(&registers, COIR__SP, (uintptr_t)frame + 16);
#endif
    follow(ret_frames, &registers, &stack);
}

void coir__frames_here(const struct coir_task *task, struct coir__frames *ret_frames)
{
    coir__frames_from(task, __builtin_frame_address(0), ret_frames);
    ret_frames->here = true;
}

/* ---- samples ---- */

static void take_registers(struct coir__registers *registers, const ucontext_t *context)
{
    *registers = (struct coir__registers){.interrupted = true};
#if defined(__x86_64__)
    static const uint8_t kept[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                   REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15};
    for (unsigned i = 0; i < sizeof kept; i++)
        give(registers, i, (uintptr_t)context->uc_mcontext.gregs[kept[i]]);
    registers->pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__riscv)
    for (unsigned i = 1; i < COIR__REGISTERS; i++) /* in the place of the first one is the pc */
        give(registers, i, (uintptr_t)context->uc_mcontext.__gregs[i]);
    registers->pc = (uintptr_t)context->uc_mcontext.__gregs[REG_PC];
#else
    for (unsigned i = 0; i < COIR__SP; i++)
        give(registers, i, (uintptr_t)context->uc_mcontext.regs[i]);
    give(registers, COIR__SP, (uintptr_t)context->uc_mcontext.sp);
    registers->pc = (uintptr_t)context->uc_mcontext.pc;
#endif
}

/* Notes the chain of frame pointers, which may go beyond the copy. */
COIR__UNCHECKED static void take_chain(struct coir__sample *sample, const struct stack *stack)
{
    struct record record;
    uintptr_t low = sample->registers.value[COIR__SP], fp = sample->registers.value[COIR__FP];
    size_t count = 0;
    while (count < COIR__FRAMES_MOST && read_record(read_stack, stack, low, fp, &record)) {
        sample->chain.at[count] = plain(record.pc);
        sample->chain_at[count++] = record.at;
        low = record.at + 16;
        fp = record.fp;
    }
    sample->chain.count = count;
}

COIR__UNCHECKED void coir__sample_take(struct coir__sample *sample, uint64_t step,
                                       const void *ucontext, uintptr_t low, uintptr_t high)
{
    struct stack stack = {low, high};
    take_registers(&sample->registers, ucontext);
    uintptr_t sp = sample->registers.value[COIR__SP];
    sample->length = 0;
    if (sp >= low && sp < high && sp % 8 == 0) {
        size_t length = high - sp;
        length = length < COIR__SAMPLE_SIZE ? length : COIR__SAMPLE_SIZE;
        const volatile uintptr_t *from = (const volatile uintptr_t *)sp;
        volatile uintptr_t *to = (volatile uintptr_t *)(void *)sample->copy;
        for (size_t i = 0; i < length / sizeof *to; i++)
            to[i] = from[i];
        sample->length = length / sizeof *to * sizeof *to;
    }
    take_chain(sample, &stack);
    sample->step = step;
}

static bool read_copy(const void *memory, uintptr_t address, uintptr_t *ret_value)
{
    const struct coir__sample *sample = memory;
    uintptr_t at = address - sample->registers.value[COIR__SP];
    if (at > sample->length || sample->length - at < sizeof *ret_value)
        return false;
    memcpy(ret_value, sample->copy + at, sizeof *ret_value);
    (void)VALGRIND_MAKE_MEM_DEFINED(ret_value, sizeof *ret_value);
    return true;
}

/* Whether address lies in a function, right behind a call: what a register holds that is no frame
 * pointer leads elsewhere. */
static bool follows_call(struct coir__symbols *symbols, uintptr_t address)
{
    struct coir__symbol symbol;
    if (address < 4096)
        return false;
    coir__symbol_find(symbols, address - 1, &symbol);
    return symbol.known && coir__call_before(address);
}

void coir__frames_sampled(const struct coir__sample *sample, struct coir__symbols *symbols,
                          struct coir__frames *ret_frames)
{
    struct coir__registers registers = sample->registers;
    ret_frames->count = 0;
    ret_frames->here = false;
    if (unwind(ret_frames, &registers, read_copy, sample))
        return;
    struct record record;
    uintptr_t low = registers.value[COIR__SP], fp = registers.value[COIR__FP];
    while (read_record(read_copy, sample, low, fp, &record) &&
           follows_call(symbols, plain(record.pc))) {
        add(ret_frames, record.pc);
        low = record.at + 16;
        fp = record.fp;
    }
    for (size_t i = 0; i < sample->chain.count; i++) { /* what lies beyond the copy */
        if (sample->chain_at[i] < low)
            continue;
        if (!follows_call(symbols, sample->chain.at[i]))
            return;
        add(ret_frames, sample->chain.at[i]);
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
    {" read readv pread pread64 write writev pwrite pwrite64 fread fwrite fgets getline getc "
     "fgetc fread_unlocked fwrite_unlocked ",
     "use a stream (coir_stream_read, coir_stream_write) for what can wait, coir_blocking for "
     "files"},
    {" recv recvfrom recvmsg send sendto sendmsg accept accept4 connect ",
     "use a stream or a listener, or coir_wait_readable for a descriptor of your own"},
    {" poll ppoll select pselect epoll_wait epoll_pwait ",
     "use coir_select, or coir_wait_readable and the like for descriptors"},
    {" getaddrinfo gethostbyname gethostbyaddr getnameinfo ",
     "use coir_blocking, which lets a thread look the name up"},
    {" fsync fdatasync sync syncfs open open64 openat openat64 rename unlink stat stat64 fstatat "
     "ftruncate ",
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
    static const char *const prefixes[] = {"__interceptor_", "__GI_", "__libc_", "_IO_", "_"};
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

/* Finds a library's function that the program called and that jumped on to the one before frame i.
 */
static bool find_jumped(const struct coir__frames *frames, struct coir__symbols *symbols, size_t i,
                        const struct coir__symbol *inner, const struct coir__symbol *outer,
                        struct coir__symbol *ret_symbol)
{
    if (i == 0 || inner->module[0] == '\0' || strcmp(inner->module, outer->module) == 0)
        return false;
    uintptr_t target = coir__call_target(frames->at[i]);
    if (target == 0)
        return false;
    coir__symbol_find(symbols, target, ret_symbol);
    return ret_symbol->known && strcmp(ret_symbol->module, outer->module) != 0 &&
           strcmp(ret_symbol->name, inner->name) != 0;
}

/* Adds the line of a function. Returns false when it does not fit. */
static bool add_line(const struct coir__symbol *symbol, int indent, char *text, size_t size,
                     size_t *length, const char **ret_hint)
{
    bool foreign = symbol->module[0] != '\0';
    int n = snprintf(text + *length, size - *length, "\n%*s%s%s%s", indent, "", symbol->name,
                     foreign ? " in " : "", symbol->module);
    if (n < 0 || (size_t)n >= size - *length) {
        text[*length] = '\0';
        return false;
    }
    *length += (size_t)n;
    const char *hint = ret_hint != NULL && foreign ? hint_for(symbol->name) : NULL;
    if (hint != NULL)
        *ret_hint = hint; /* the outermost one is what the program called */
    return true;
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
    struct coir__symbol inner = {.known = false}, jumped;
    for (; i < frames->count; i++) {
        coir__symbol_find(symbols, frames->at[i] - (i > 0), &symbol);
        if (is_inner(&symbol))
            continue;
        if ((find_jumped(frames, symbols, i, &inner, &symbol, &jumped) &&
             !add_line(&jumped, indent, text, size, &length, ret_hint)) ||
            !add_line(&symbol, indent, text, size, &length, ret_hint))
            break;
        inner = symbol;
    }
    return length;
}
