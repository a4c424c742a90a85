/* coir/select.h: waiting for whatever comes first: items, room, tasks, futures, events, times,
 * descriptors, signals.
 *
 * A case says what to wait for. coir_select waits until one of them can be settled, settles that
 * one alone, and says which; the others are as if they had never been asked. When several can be
 * settled at once the lowest index wins.
 *
 *     struct command command;
 *     coir_case cases[] = {
 *         COIR_ON_RECEIVE(commands, &command),
 *         COIR_ON_SIGNAL(SIGHUP),
 *         COIR_ON_TIMER(COIR_SEC(30)),
 *     };
 *     switch (COIR_TRY(coir_select(cases, COIR_COUNT(cases)))) {
 *     case 0: return cases[0].result > 0 ? obey(&command) : 0;
 *     case 1: return reload();
 *     default: return report();
 *     }
 */
#ifndef COIR_SELECT_H
#define COIR_SELECT_H

#include <coir/channel.h>
#include <coir/event.h>
#include <coir/future.h>

COIR__BEGIN

struct coir__waitable;

/* Something to wait for, in memory of the caller, made by one of the macros below. An array of
 * cases can be used for any number of calls, one at a time. What its macro was given stays the
 * caller's and must outlive the call. */
typedef struct coir_case {
    /* What came of it, for the case whose index was returned. COIR_ON_RECEIVE: 1, or 0 when the
     * channel is closed and drained, or -COIR_ECLOSED when another task closed the last receiver
     * meanwhile. COIR_ON_SEND: 0, or -COIR_ECLOSED without receivers.
     * COIR_ON_TASK: the task's result. COIR_ON_FUTURE: 0 or the code it failed with.
     * COIR_ON_DESCRIPTOR: the events that are there. COIR_ON_SIGNAL: the signal. Else 0. */
    int result;
    int coir__flags; /* events of a descriptor, whether a time is relative, ... */
    const struct coir__waitable *coir__kind;
    void *coir__object;              /* what is waited for */
    void *coir__slot;                /* where the value goes to or comes from */
    int64_t coir__number;            /* size of an item, time, descriptor, signal */
    struct coir_case *coir__first;   /* the first case of the same call; the next three are its */
    size_t coir__count, coir__begun; /* cases in all; those that were begun and not withdrawn */
    int coir__won;                   /* index of the case that is settled, or -1 */
    struct coir__waiter coir__waiter;
    coir_timer coir__timer;
    void *coir__reserved[4];
} coir_case;

COIR__PUBLIC extern const struct coir__waitable coir__on_receive, coir__on_send, coir__on_task,
    coir__on_future, coir__on_event, coir__on_time, coir__on_descriptor, coir__on_signal;

/* object, when it is a type *; the compiler objects otherwise. */
#define COIR__OF_TYPE(type, object) (1 ? (object) : (type *)NULL)

/* An item arrives: as coir_receive into ret_item. */
#define COIR_ON_RECEIVE(receiver, ret_item)                                                        \
    {                                                                                              \
        .coir__kind = &coir__on_receive, .coir__object = COIR__OF_TYPE(coir_receiver, receiver),   \
        .coir__slot = (ret_item), .coir__number = (int64_t)sizeof(*(ret_item)),                    \
    }

/* There is room for an item: as coir_send of item, which is copied when the case is settled. */
#define COIR_ON_SEND(sender, item)                                                                 \
    {                                                                                              \
        .coir__kind = &coir__on_send, .coir__object = COIR__OF_TYPE(coir_sender, sender),          \
        .coir__slot = (void *)(item), .coir__number = (int64_t)sizeof(*(item)),                    \
    }

/* A task ends. Its handle stays valid: join it. */
#define COIR_ON_TASK(task)                                                                         \
    {                                                                                              \
        .coir__kind = &coir__on_task, .coir__object = COIR__OF_TYPE(coir_task, task),              \
    }

/* A future is settled: as coir_future_wait into ret_value, a void ** that may be NULL. */
#define COIR_ON_FUTURE(future, ret_value)                                                          \
    {                                                                                              \
        .coir__kind = &coir__on_future, .coir__object = COIR__OF_TYPE(coir_future, future),        \
        .coir__slot = COIR__OF_TYPE(void *, ret_value),                                            \
    }

/* An event is set. */
#define COIR_ON_EVENT(event)                                                                       \
    {                                                                                              \
        .coir__kind = &coir__on_event, .coir__object = COIR__OF_TYPE(coir_event, event),           \
    }

/* duration nanoseconds have passed since the call began. */
#define COIR_ON_TIMER(duration)                                                                    \
    {                                                                                              \
        .coir__flags = 1, .coir__kind = &coir__on_time, .coir__number = (duration),                \
    }

/* A point in time is reached. */
#define COIR_ON_TIME(when)                                                                         \
    {                                                                                              \
        .coir__flags = 0, .coir__kind = &coir__on_time, .coir__number = (when),                    \
    }

/* One of events (as in <coir/descriptor.h>) is there at a descriptor. */
#define COIR_ON_DESCRIPTOR(fd, events)                                                             \
    {                                                                                              \
        .coir__flags = (int)(events), .coir__kind = &coir__on_descriptor, .coir__number = (fd),    \
    }

/* A signal arrives at the process. */
#define COIR_ON_SIGNAL(signal_number)                                                              \
    {                                                                                              \
        .coir__kind = &coir__on_signal, .coir__number = (signal_number),                           \
    }

/* Waits until one of count cases is settled, and says which. Its result is in cases[index].result.
 * Cases are looked at in order: one that can be settled at once wins without waiting.
 * Returns the index. Errors: -EINVAL without cases or for an item of the wrong size,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, what a descriptor or signal cannot do, -ECANCELED, -ETIME; then
 * no case was settled. Cancel safety: nothing happened, no value was taken. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_select(coir_case *cases, size_t count);

/* As coir_select, without waiting; also outside a task.
 * Returns the index. Errors: -EAGAIN when no case can be settled now, -EINVAL, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_try_select(coir_case *cases, size_t count);

COIR__END
#endif
