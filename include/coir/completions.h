/* coir/completions.h: tasks one by one, in the order in which they end.
 *
 *     COIR_AUTO(coir_completions) *ends = NULL;
 *     COIR_TRY(coir_completions_open(tasks, COIR_COUNT(tasks), &ends));
 *     size_t index;
 *     while (COIR_TRY(coir_completions_next(ends, &index)) > 0) {
 *         int result;
 *         COIR_TRY(coir_join(tasks[index], &result));
 *         use(index, result);
 *     }
 */
#ifndef COIR_COMPLETIONS_H
#define COIR_COMPLETIONS_H

#include <coir/task.h>

COIR__BEGIN

/* Tasks that are watched for their ends; opaque. */
typedef struct coir_completions coir_completions;

/* Begins to watch count tasks by their handles. Those that have ended already come first, lowest
 * index first. The array is not needed afterwards; a handle may be joined once its task has ended.
 * Returns 0, and writes *ret_completions, which is the caller's to close. Errors: -EINVAL for a
 * task that is given twice, -EDEADLK for the calling task, -EOVERFLOW, -ENOMEM, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_completions_open(coir_task *const *tasks, size_t count,
                                        coir_completions **ret_completions);

/* Waits for the next end of a task that was not given yet, however it ended: by itself, by failing,
 * by being cancelled. One task at a time.
 * Returns 1, and writes its index to *ret_index; 0 when all were given. Errors: -EBUSY when another
 * task waits, -COIR_ECLOSED when it is closed meanwhile, -COIR_EWRONGLOOP, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: no task was given; the next call goes on. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_completions_next(coir_completions *completions, size_t *ret_index);

/* How many tasks were not given yet, whether they have ended or not.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_completions_left(const coir_completions *completions);

/* Stops watching; NULL is accepted. The tasks go on, their handles stay the caller's. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_completions_close(coir_completions *completions);

COIR_CLOSER(coir_completions, coir_completions_close);

COIR__END
#endif
