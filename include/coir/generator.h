/* coir/generator.h: a function that hands out values one by one, to whoever asks for the next.
 *
 * A generator is a task that runs only while somebody wants a value of it: coir_generator_next
 * switches to it, coir_generator_yield switches back with the value. There is no buffer between
 * them, and nothing is produced that was not asked for.
 *
 *     static int lines(coir_generator *self, void *arg)
 *     {
 *         COIR_AUTO(reader) *reader = arg;                 // closed however it ends
 *         struct line line;
 *         while (COIR_TRY(reader_next(reader, &line)) > 0)
 *             COIR_TRY(coir_generator_yield(self, &line)); // goes on when the next is asked for
 *         return 0;
 *     }
 *
 *     COIR_AUTO(coir_generator) *gen = NULL;
 *     COIR_TRY(coir_generator_open(struct line, lines, reader, &gen));
 *     while ((r = coir_generator_next(gen, &line)) > 0)
 *         use(&line);
 */
#ifndef COIR_GENERATOR_H
#define COIR_GENERATOR_H

#include <coir/select.h>

COIR__BEGIN

/* A generator; opaque. */
typedef struct coir_generator coir_generator;

/* What a generator runs: 0 or a positive result is the end of the values, a negative code a failure
 * that coir_generator_next returns. */
typedef int (*coir_generator_fn)(coir_generator *self, void *arg);

/* Opens a generator of values of type (a C type, as in sizeof). fn(self, arg) begins when the first
 * value is asked for, in a task that the generator owns: no scope of the caller bounds it, only its
 * closing. It always runs, cancelled when the generator is closed before, so that it can release
 * its argument.
 * Returns 0, and writes *ret_generator, which is the caller's to close. Errors: -EINVAL for a type
 * without size or no function, -ENOMEM, -COIR_ENOTASK where no loop runs; then the argument stays
 * the caller's. Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_generator_open(type, fn, arg, ret_generator)                                          \
    coir_generator_open_at(sizeof(type), (fn), (arg), (ret_generator), COIR_SITE(#fn))
COIR__CHECKED int coir_generator_open_at(size_t size, coir_generator_fn fn, void *arg,
                                         coir_generator **ret_generator, const coir_site *site);

/* Runs the generator up to its next value, which is copied to *ret_value. One task at a time.
 * Returns 1, or 0 when the generator has ended. Errors: what the generator failed with, once, with
 * its trace; -EBUSY when another task waits for a value, -EDEADLK in the generator itself,
 * -COIR_ECLOSED when it is closed meanwhile, -EINVAL for a value of the wrong size,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the generator goes on up to
 * its next value, which the next call gets. Thread safety: the loop's thread. */
#define coir_generator_next(generator, ret_value)                                                  \
    coir__generator_next((generator), (ret_value), sizeof(*(ret_value)), COIR_SITE(NULL))
COIR__CHECKED int coir__generator_next(coir_generator *generator, void *ret_value, size_t size,
                                       const coir_site *site);

/* Hands *value out, and waits until another one is asked for. Only the generator's own task may
 * call it.
 * Returns 0. Errors: -ECANCELED when the generator is being closed, -COIR_ECLOSED when it is and a
 * shield holds that off, -ETIME at a deadline of the generator's own, -EINVAL in another task or
 * for a value of the wrong size, -COIR_ENOTASK. Cancel safety: it does not tell whether the value
 * was taken. Thread safety: the loop's thread. */
#define coir_generator_yield(self, value) coir__generator_yield((self), (value), sizeof(*(value)))
COIR__CHECKED int coir__generator_yield(coir_generator *self, const void *value, size_t size);

/* Closes a generator; NULL is accepted. One that has not ended is cancelled and joined: its cleanup
 * has run when the call returns. A task that waits for a value of it returns -COIR_ECLOSED. A
 * failure that nobody got is reported. It must be called in a task, and not in the generator's own;
 * otherwise it is left open, which is reported. Cancel safety: joins whatever happens. Thread
 * safety: the loop's thread. */
COIR__PUBLIC void coir_generator_close(coir_generator *generator);

COIR_CLOSER(coir_generator, coir_generator_close);

COIR__PUBLIC extern const struct coir__waitable coir__on_generator;

/* A case of coir_select: the next value, as coir_generator_next into ret_value. Its result is 1, 0
 * at the end, or what the generator failed with. A case that waits has asked: when another one
 * wins, the generator goes on up to its next value, which the next call gets. coir_try_select asks
 * for nothing. */
#define COIR_ON_GENERATOR(generator, ret_value)                                                    \
    {                                                                                              \
        .coir__kind = &coir__on_generator,                                                         \
        .coir__object = COIR__OF_TYPE(coir_generator, generator), .coir__slot = (ret_value),       \
        .coir__number = (int64_t)sizeof(*(ret_value)),                                             \
    }

COIR__END
#endif
