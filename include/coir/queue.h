/* coir/queue.h: queues in the shape of asyncio's: many put, many get, and somebody waits until all
 * is done.
 *
 * Where a channel ends when its last sender closes, a queue has no ends: whoever holds it puts and
 * gets, counts what was worked off (coir_queue_task_done, coir_queue_join), and shuts it down. The
 * order is first in first out, last in first out, or by priority. Items of one type are copied in
 * and out.
 *
 *     COIR_AUTO(coir_queue) *jobs = NULL;
 *     COIR_TRY(coir_queue_open(struct job, NULL, &jobs));
 *
 *     COIR_TRY(coir_queue_put(jobs, &job));            // a producer
 *
 *     while ((r = coir_queue_get(jobs, &job)) == 0) {  // a worker, until -COIR_ECLOSED
 *         work(&job);
 *         coir_queue_task_done(jobs);
 *     }
 *
 *     COIR_TRY(coir_queue_join(jobs));                 // all that was put is worked off
 *     coir_queue_shutdown(jobs, false);
 */
#ifndef COIR_QUEUE_H
#define COIR_QUEUE_H

#include <coir/task.h>

COIR__BEGIN

/* A queue; opaque. */
typedef struct coir_queue coir_queue;

/* Which item is taken next. */
typedef enum coir_queue_kind {
    COIR_QUEUE_FIFO,     /* first in, first out */
    COIR_QUEUE_LIFO,     /* last in, first out */
    COIR_QUEUE_PRIORITY, /* the least by opts.compare; equal ones first in, first out */
} coir_queue_kind;

/* Zero means the default for each field. */
typedef struct coir_queue_opts {
    coir_queue_kind kind;
    size_t max_size; /* coir_queue_put waits while it holds as many; 0: no limit */
    int (*compare)(const void *a, const void *b); /* as for qsort: negative when a goes first */
    size_t coir__reserved[4];
} coir_queue_opts;

/* Opens a queue for items of type (a C type, as in sizeof); opts may be NULL.
 * Returns 0, and writes *ret_queue, which is the caller's to close. Errors: -EINVAL for a type
 * without size, an unknown kind, or COIR_QUEUE_PRIORITY without compare; -ENOMEM; -COIR_ENOTASK
 * where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_queue_open(type, opts, ret_queue)                                                     \
    coir_queue_open_at(sizeof(type), (opts), (ret_queue), COIR_SITE(#type))
COIR__CHECKED int coir_queue_open_at(size_t size, const coir_queue_opts *opts,
                                     coir_queue **ret_queue, const coir_site *site);

/* Closes a queue; NULL is accepted. Items that nobody took are dropped, tasks that wait return
 * -COIR_ECLOSED. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_queue_close(coir_queue *queue);

COIR_CLOSER(coir_queue, coir_queue_close);

/* Puts a copy of *item into queue, waiting while it is full, behind those that wait already. item
 * stays the caller's.
 * Returns 0. Errors: -COIR_ECLOSED after a shutdown, -EINVAL for an item of the wrong size,
 * -ENOMEM, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the item was not
 * put. Thread safety: the loop's thread. */
#define coir_queue_put(queue, item) coir__queue_put((queue), (item), sizeof(*(item)))
COIR__CHECKED int coir__queue_put(coir_queue *queue, const void *item, size_t size);

/* Puts a copy of *item into queue if there is room.
 * Returns 0. Errors: -EAGAIN when it is full, -COIR_ECLOSED, -EINVAL, -ENOMEM, -COIR_EWRONGLOOP.
 * Cancel safety: never waits. Thread safety: the loop's thread, in a task or not. */
#define coir_queue_try_put(queue, item) coir__queue_try_put((queue), (item), sizeof(*(item)))
COIR__CHECKED int coir__queue_try_put(coir_queue *queue, const void *item, size_t size);

/* Takes the next item into *ret_item, waiting while queue is empty, behind those that wait already.
 * Returns 0. Errors: -COIR_ECLOSED when it is empty after a shutdown, -EINVAL for an item of the
 * wrong size, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no item was
 * taken. Thread safety: the loop's thread. */
#define coir_queue_get(queue, ret_item) coir__queue_get((queue), (ret_item), sizeof(*(ret_item)))
COIR__CHECKED int coir__queue_get(coir_queue *queue, void *ret_item, size_t size);

/* Takes the next item if there is one.
 * Returns 0. Errors: -EAGAIN when it is empty, -COIR_ECLOSED, -EINVAL, -COIR_EWRONGLOOP. Cancel
 * safety: never waits. Thread safety: the loop's thread, in a task or not. */
#define coir_queue_try_get(queue, ret_item)                                                        \
    coir__queue_try_get((queue), (ret_item), sizeof(*(ret_item)))
COIR__CHECKED int coir__queue_try_get(coir_queue *queue, void *ret_item, size_t size);

/* Says that an item which was taken has been worked off. The last one ends the waits of
 * coir_queue_join.
 * Returns 0. Errors: -EINVAL when that was said for every item already, -COIR_EWRONGLOOP. Cancel
 * safety: never waits. Thread safety: the loop's thread, in a task or not. */
COIR__PUBLIC int coir_queue_task_done(coir_queue *queue);

/* Waits until every item that was put has been worked off.
 * Returns 0. Errors: -COIR_ECLOSED when the queue is closed meanwhile, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_queue_join(coir_queue *queue);

/* Shuts queue down: puts fail with -COIR_ECLOSED from now on, those that wait too; gets fail so
 * when it is empty. With immediate, the items in it are dropped and count as worked off. Again:
 * only immediate can add something.
 * Returns 0. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread, in a task or not. */
COIR__PUBLIC int coir_queue_shutdown(coir_queue *queue, bool immediate);

/* How many items are in queue.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_queue_size(const coir_queue *queue);

/* How many items were put and not worked off.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_queue_unfinished(const coir_queue *queue);

COIR__END
#endif
