/* mutexes.c: counts the mutexes that each thread holds: a small library of its own, to be preloaded
 * by a program in debug mode.
 *
 * It stands before the C library's pthread_mutex_lock and its kin, which it calls. Debug mode finds
 * coir_debug_held_mutexes when it is switched on, and asks at every wait of a task. What the C
 * library locks for itself does not pass here, and read-write locks and spin locks are not counted.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define SHOWN __attribute__((visibility("default")))

static _Thread_local int held __attribute__((tls_model("initial-exec")));

SHOWN int coir_debug_held_mutexes(void);

int coir_debug_held_mutexes(void)
{
    return held;
}

/* Each finds the function that it stands before, once. */
#define NEXT(name, type)                                                                           \
    static _Atomic(type) name##_next;                                                              \
    static type name##_find(void)                                                                  \
    {                                                                                              \
        type next = atomic_load_explicit(&name##_next, memory_order_relaxed);                      \
        if (next == NULL) {                                                                        \
            void *found = dlsym(RTLD_NEXT, #name);                                                 \
            memcpy(&next, &found, sizeof next);                                                    \
            atomic_store_explicit(&name##_next, next, memory_order_relaxed);                       \
        }                                                                                          \
        return next;                                                                               \
    }                                                                                              \
    struct name##_is_there

typedef int (*plain_fn)(pthread_mutex_t *mutex);
typedef int (*timed_fn)(pthread_mutex_t *mutex, const struct timespec *until);

NEXT(pthread_mutex_lock, plain_fn);
NEXT(pthread_mutex_trylock, plain_fn);
NEXT(pthread_mutex_timedlock, timed_fn);
NEXT(pthread_mutex_unlock, plain_fn);

static int count(int error)
{
    held += error == 0;
    return error;
}

SHOWN int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    return count(pthread_mutex_lock_find()(mutex));
}

SHOWN int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    return count(pthread_mutex_trylock_find()(mutex));
}

SHOWN int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    return count(pthread_mutex_timedlock_find()(mutex, until));
}

SHOWN int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int error = pthread_mutex_unlock_find()(mutex);
    if (error == 0 && held > 0)
        held--;
    return error;
}
