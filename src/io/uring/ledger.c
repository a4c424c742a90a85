/* ledger.c: finds memory that is given back while the kernel may still write to it.
 *
 * A mistake that no sanitizer sees, since the writer is the kernel. When $COIR_DEBUG_LEDGER is set
 * (the test kit sets it), each block that the library frees, each stack of a task that has ended,
 * and with ASan each free() of the program is compared with what the operations under way on this
 * thread's loop hold: buffers, addresses, and the operations themselves. A hit ends the program
 * with a line that names the operation, the descriptor and the task. Enabled by uring.c; off, it
 * costs nothing but a predicted branch in coir__free.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/socket.h>

#include "io/files/system.h"
#include "io/uring/uring.h"

/* Of the sanitizers' runtime, where there is one. */
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
                                              void (*freed)(const volatile void *))
    __attribute__((weak));
size_t __sanitizer_get_allocated_size(const volatile void *block) __attribute__((weak));

struct range {
    const char *from;
    size_t size;
};

static bool touches(const struct range *range, const void *memory, size_t size)
{
    uintptr_t first = (uintptr_t)memory, held = (uintptr_t)range->from;
    return range->size > 0 && first < held + range->size && held < first + size;
}

static const char *name_of(const struct coir__op *op)
{
    switch (op->kind) {
    case COIR__OP_READ: return "read";
    case COIR__OP_WRITE: return "write";
    case COIR__OP_ACCEPT: return "accept";
    case COIR__OP_CONNECT: return "connect";
    case COIR__OP_RECEIVE: return "receive";
    case COIR__OP_SYSTEM: return coir__system_name(op->system);
    default: return "poll";
    }
}

/* The same of a single message, which the kernel fills in. */
static bool find_in_message(const struct coir__op *op, const void *memory, size_t size,
                            struct range *ret_range)
{
    const struct msghdr *header = &op->messages->header;
    const struct range ranges[] = {
        {(const char *)op->messages, sizeof *op->messages},
        {header->msg_name, header->msg_namelen},
        {header->msg_control, header->msg_controllen},
    };
    for (size_t i = 0; i < COIR_COUNT(ranges) + header->msg_iovlen; i++) {
        const struct iovec *vector = &header->msg_iov[i < 3 ? 0 : i - 3];
        *ret_range = i < 3 ? ranges[i] : (struct range){vector->iov_base, vector->iov_len};
        if (ret_range->from != NULL && touches(ret_range, memory, size))
            return true;
    }
    return false;
}

/* The part of op's memory that lies in a block. Returns whether there is any. */
static bool find_part(const struct coir__op *op, const void *memory, size_t size,
                      struct range *ret_range)
{
    *ret_range = (struct range){(const char *)op, sizeof *op};
    if (touches(ret_range, memory, size))
        return true;
    for (int i = 0; op->kind == COIR__OP_WRITE && i < op->count; i++) {
        *ret_range = (struct range){op->vectors[i].iov_base, op->vectors[i].iov_len};
        if (touches(ret_range, memory, size))
            return true;
    }
    if (op->kind == COIR__OP_RECEIVE && op->message_count == 1)
        return find_in_message(op, memory, size, ret_range);
    *ret_range = (struct range){NULL, 0};
    if (op->kind == COIR__OP_READ)
        *ret_range = (struct range){op->data, op->length};
    else if (op->kind == COIR__OP_CONNECT)
        *ret_range = (struct range){(const char *)op->address, op->address_length};
    else if (op->kind == COIR__OP_SYSTEM)
        *ret_range = (struct range){op->system->data, op->system->length};
    return touches(ret_range, memory, size);
}

static _Noreturn void complain(const struct coir__op *op, const struct range *range,
                               const char *what)
{
    char text[320];
    int fd = op->file != NULL              ? op->file->fd
             : op->kind == COIR__OP_SYSTEM ? op->system->fd
                                           : op->fd;
    (void)snprintf(text, sizeof text,
                   "coir: %s while the kernel still has it: %s of fd %d by task '%s', %zu bytes at "
                   "%p\n",
                   what, name_of(op), fd, op->task != NULL ? coir_task_name(op->task) : "?",
                   range->size, (const void *)range->from);
    (void)!write(STDERR_FILENO, text, strlen(text));
    abort();
}

static void check(const char *what, const void *memory, size_t size)
{
    const struct coir_loop *loop = coir__loop;
    if (loop == NULL || loop->backend != &coir__backend_uring || loop->backend_state == NULL)
        return;
    const struct coir__uring *uring = loop->backend_state;
    struct range range;
    for (uint32_t i = 0; i < uring->slot_count; i++) {
        const struct coir__op *op = uring->slots[i].op;
        if (op != NULL && op->kind == COIR__URING_RECEIVE && coir__uring_waiting(op) != NULL)
            op = coir__uring_waiting(op); /* what comes will be copied to its memory */
        if (op != NULL && op->active && find_part(op, memory, size, &range))
            complain(op, &range, what);
    }
}

static void allocated(const volatile void *block, size_t size)
{
    (void)block, (void)size;
}

static void freed(const volatile void *block)
{
    if (block != NULL && coir__loop != NULL)
        check("memory is freed", (const void *)(uintptr_t)block,
              __sanitizer_get_allocated_size(block));
}

void coir__uring_ledger_enable(void)
{
    const char *wanted = getenv("COIR_DEBUG_LEDGER");
    static atomic_flag hooked = ATOMIC_FLAG_INIT;
    if (wanted == NULL || wanted[0] == '\0')
        return;
    if (__sanitizer_install_malloc_and_free_hooks != NULL &&
        __sanitizer_get_allocated_size != NULL && !atomic_flag_test_and_set(&hooked))
        (void)__sanitizer_install_malloc_and_free_hooks(allocated, freed);
    __atomic_store_n(&coir__ledger, check, __ATOMIC_RELEASE);
}
