/* sync_rwlock.c: read-write locks: who goes together, who waits behind whom, and what a cancelled
 * waiter at the head of the line leaves behind. The names are those of Tokio's sync_rwlock.rs where
 * the behaviour is.
 */
#include <coir/rwlock.h>

#include <coir/event.h>

#include "sync.h"

/* Acquires a lock, notes it, and keeps the lock until it is told to let go. */
struct holder {
    coir_rwlock *lock;
    struct record *record;
    int digit;
    bool writes;
    coir_event let_go;
    int acquired; /* what acquiring returned */
};

static int hold(void *arg)
{
    struct holder *holder = arg;
    coir_rwlock *lock = holder->lock;
    holder->acquired =
        holder->writes ? coir_rwlock_acquire_write(lock) : coir_rwlock_acquire_read(lock);
    if (holder->acquired < 0)
        return holder->acquired;
    note(holder->record, holder->digit);
    int r = coir_event_wait(&holder->let_go);
    COIR_EXPECT_OK(holder->writes ? coir_rwlock_release_write(lock)
                                  : coir_rwlock_release_read(lock));
    return r;
}

#define HOLDER(name, number, is_writer)                                                            \
    struct holder name = {.lock = &lock, .record = &record, .digit = number, .writes = is_writer}

static void expect_free(coir_rwlock *lock)
{
    COIR_EXPECT_EQ(coir_rwlock_readers(lock), 0);
    COIR_EXPECT(!coir_rwlock_writing(lock));
}

COIR_TEST(readers_share)
{
    coir_rwlock lock = {0};
    COIR_REQUIRE_OK(coir_rwlock_acquire_read(&lock));
    COIR_EXPECT_OK(coir_rwlock_try_read(&lock));
    COIR_EXPECT_EQ(coir_rwlock_readers(&lock), 2);
    COIR_EXPECT_CODE(coir_rwlock_try_write(&lock), -EAGAIN);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    COIR_EXPECT_OK(coir_rwlock_try_write(&lock));
    COIR_EXPECT_OK(coir_rwlock_release_write(&lock));
    expect_free(&lock);
}

COIR_TEST(release_not_acquired)
{
    coir_rwlock lock = {0};
    COIR_EXPECT_CODE(coir_rwlock_release_read(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(coir_rwlock_release_write(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(coir_rwlock_downgrade(&lock), -COIR_ENOTHELD);
    COIR_REQUIRE_OK(coir_rwlock_acquire_read(&lock));
    COIR_EXPECT_CODE(coir_rwlock_release_write(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
}

COIR_TEST(relock_by_the_writer_is_a_deadlock)
{
    coir_rwlock lock = {0};
    COIR_REQUIRE_OK(coir_rwlock_acquire_write(&lock));
    COIR_EXPECT_CODE(coir_rwlock_acquire_write(&lock), -EDEADLK);
    COIR_EXPECT_CODE(coir_rwlock_acquire_read(&lock), -EDEADLK);
    COIR_EXPECT_CODE(coir_rwlock_try_write(&lock), -EDEADLK);
    COIR_EXPECT_CODE(coir_rwlock_try_read(&lock), -EDEADLK);
    COIR_EXPECT_OK(coir_rwlock_release_write(&lock));
    expect_free(&lock);
}

COIR_TEST(only_the_writer_ends_writing)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(a, 1, true);
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    COIR_EXPECT(coir_rwlock_writing(&lock));
    COIR_EXPECT_CODE(coir_rwlock_release_write(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(coir_rwlock_release_read(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(coir_rwlock_downgrade(&lock), -COIR_ENOTHELD);
    COIR_EXPECT_CODE(coir_rwlock_try_read(&lock), -EAGAIN);
    COIR_EXPECT_CODE(coir_rwlock_try_write(&lock), -EAGAIN);
    coir_event_set(&a.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    expect_free(&lock);
}

/* A writer that waits holds back the readers behind it; after it they go together. */
COIR_TEST(write_order)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(a, 1, false);
    HOLDER(b, 2, true);
    HOLDER(c, 3, false);
    HOLDER(d, 4, false);
    HOLDER(e, 5, true);
    HOLDER(f, 6, false);
    struct holder *all[] = {&a, &b, &c, &d, &e, &f};
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        START(&group, hold, all[i], NULL);
    COIR_EXPECT_EQ(record.digits, 1);
    COIR_EXPECT_CODE(coir_rwlock_try_read(&lock), -EAGAIN);
    coir_event_set(&a.let_go);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 12);
    coir_event_set(&b.let_go);
    coir_event_set(&c.let_go);
    SETTLE();
    COIR_EXPECT(record.digits == 1234 || record.digits == 1243);
    COIR_EXPECT_EQ(coir_rwlock_readers(&lock), 1);
    coir_event_set(&d.let_go);
    SETTLE();
    COIR_EXPECT_EQ(record.digits % 10, 5);
    coir_event_set(&e.let_go);
    SETTLE();
    COIR_EXPECT_EQ(record.digits % 100, 56);
    coir_event_set(&f.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    expect_free(&lock);
}

/* The lock is the waiter's before it runs: nobody can take it in between. */
COIR_TEST(handover)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(b, 2, true);
    HOLDER(c, 3, false);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_rwlock_acquire_write(&lock));
    START(&group, hold, &b, NULL);
    START(&group, hold, &c, NULL);
    COIR_EXPECT_OK(coir_rwlock_release_write(&lock));
    COIR_EXPECT(coir_rwlock_writing(&lock));
    COIR_EXPECT_CODE(coir_rwlock_try_write(&lock), -EAGAIN);
    COIR_EXPECT_CODE(coir_rwlock_release_write(&lock), -COIR_ENOTHELD);
    coir_event_set(&b.let_go);
    coir_event_set(&c.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 23);
}

/* A writer at the head of the line gives up: the readers behind it join those that read. */
COIR_TEST(cancelled_writer_lets_readers_go_on)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(a, 1, false);
    HOLDER(b, 2, true);
    HOLDER(c, 3, false);
    HOLDER(d, 4, true);
    HOLDER(e, 5, false);
    coir_task *writer, *second;
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    START(&group, hold, &b, &writer);
    START(&group, hold, &c, NULL);
    START(&group, hold, &d, &second);
    START(&group, hold, &e, NULL);
    coir_cancel(writer, NULL);
    COIR_EXPECT_EQ(coir_rwlock_readers(&lock), 2);
    COIR_EXPECT_CODE(joined(writer), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(b.acquired, -ECANCELED);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 13);
    coir_cancel(second, NULL);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 135);
    struct holder *readers[] = {&a, &c, &e};
    for (size_t i = 0; i < COIR_COUNT(readers); i++)
        coir_event_set(&readers[i]->let_go);
    COIR_EXPECT_CODE(joined(second), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    expect_free(&lock);
}

/* The deadline of a waiting writer does the same. */
COIR_TEST(expired_writer_lets_readers_go_on)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(a, 1, false);
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    {
        COIR_DEADLINE(COIR_MS(10));
        COIR_EXPECT_CODE(coir_rwlock_acquire_write(&lock), -ETIME);
    }
    COIR_EXPECT_OK(coir_rwlock_try_read(&lock));
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    coir_event_set(&a.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* A reader in the middle of the line gives up: the order of the others stays. */
COIR_TEST(cancelled_reader_changes_nothing)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(a, 1, true);
    HOLDER(b, 2, false);
    HOLDER(c, 3, true);
    coir_task *reader;
    COIR_GROUP(group);
    START(&group, hold, &a, NULL);
    START(&group, hold, &b, &reader);
    START(&group, hold, &c, NULL);
    coir_cancel(reader, NULL);
    COIR_EXPECT_CODE(joined(reader), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(record.digits, 1);
    coir_event_set(&a.let_go);
    coir_event_set(&c.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 13);
    expect_free(&lock);
}

/* The last reader stops, then the writer is cancelled, which has the lock already: it finds out at
 * its next call, and the reader behind it is next. */
COIR_TEST(cancel_release_race)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(b, 2, true);
    HOLDER(c, 3, false);
    coir_task *writer;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_rwlock_acquire_read(&lock));
    START(&group, hold, &b, &writer);
    START(&group, hold, &c, NULL);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    coir_cancel(writer, NULL);
    coir_event_set(&c.let_go);
    COIR_EXPECT_CODE(joined(writer), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(b.acquired);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 23);
    expect_free(&lock);
}

/* The other way round: the writer never has it. */
COIR_TEST(cancel_race)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(b, 2, true);
    HOLDER(c, 3, true);
    coir_task *writer;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_rwlock_acquire_read(&lock));
    START(&group, hold, &b, &writer);
    START(&group, hold, &c, NULL);
    coir_cancel(writer, NULL);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    coir_event_set(&c.let_go);
    COIR_EXPECT_CODE(joined(writer), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 3);
    expect_free(&lock);
}

/* A downgraded writer lets the readers in that were next, and no writer. */
COIR_TEST(downgrade)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(b, 2, false);
    HOLDER(c, 3, true);
    HOLDER(d, 4, false);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_rwlock_acquire_write(&lock));
    START(&group, hold, &b, NULL);
    START(&group, hold, &c, NULL);
    START(&group, hold, &d, NULL);
    COIR_EXPECT_OK(coir_rwlock_downgrade(&lock));
    COIR_EXPECT_CODE(coir_rwlock_release_write(&lock), -COIR_ENOTHELD);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 2);
    COIR_EXPECT_EQ(coir_rwlock_readers(&lock), 2);
    coir_event_set(&b.let_go);
    SETTLE();
    COIR_EXPECT_EQ(record.digits, 2);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    coir_event_set(&c.let_go);
    coir_event_set(&d.let_go);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(record.digits, 234);
    expect_free(&lock);
}

static int write_then_read(coir_rwlock *lock, bool by_hand)
{
    COIR_RWLOCK_WRITE(lock);
    COIR_EXPECT(coir_rwlock_writing(lock));
    COIR_EXPECT_OK(coir_rwlock_downgrade(lock));
    COIR_RWLOCK_READ(lock);
    COIR_EXPECT_EQ(coir_rwlock_readers(lock), 2);
    return by_hand ? coir_rwlock_release_read(lock) : 0;
}

static int write_twice(coir_rwlock *lock)
{
    COIR_RWLOCK_WRITE(lock);
    COIR_RWLOCK_WRITE(lock);
    return 0;
}

static int read_then_write(coir_rwlock *lock)
{
    COIR_RWLOCK_READ(lock);
    COIR_DEADLINE(COIR_MS(1));
    COIR_RWLOCK_WRITE(lock);
    return 0;
}

/* The blocks release what they hold, and nothing that others hold, on every way out. */
COIR_TEST(block_forms)
{
    coir_rwlock lock = {0};
    COIR_REQUIRE_OK(coir_rwlock_acquire_read(&lock));
    COIR_EXPECT_CODE(read_then_write(&lock), -ETIME);
    COIR_EXPECT_EQ(coir_rwlock_readers(&lock), 1);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
    COIR_EXPECT_OK(write_then_read(&lock, false));
    expect_free(&lock);
    COIR_EXPECT_OK(write_then_read(&lock, true));
    expect_free(&lock);
    COIR_EXPECT_CODE(write_twice(&lock), -EDEADLK);
    expect_free(&lock);
}

COIR_TEST(pending_cancellation_is_reported_first)
{
    coir_rwlock lock = {0};
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(coir_rwlock_acquire_read(&lock), -ECANCELED);
    COIR_EXPECT_CODE(coir_rwlock_acquire_write(&lock), -ECANCELED);
    expect_free(&lock);
}

struct visitor {
    coir_rwlock *lock;
    int *value, *reading;
    bool writes;
};

/* Readers see no half of a change, and writers are alone. */
static int visit(void *arg)
{
    struct visitor *visitor = arg;
    for (int i = 0; i < 10; i++) {
        if (visitor->writes) {
            COIR_RWLOCK_WRITE(visitor->lock);
            COIR_EXPECT_EQ(*visitor->reading, 0);
            ++*visitor->value;
            int r = coir_sleep(i % 3);
            ++*visitor->value;
            COIR_TRY(r);
        } else {
            COIR_RWLOCK_READ(visitor->lock);
            ++*visitor->reading;
            COIR_EXPECT_EQ(*visitor->value % 2, 0);
            int r = coir_sleep(i % 2);
            --*visitor->reading;
            COIR_TRY(r);
        }
    }
    return 0;
}

COIR_TEST_TAGGED(exclusive, "liveness")
{
    coir_rwlock lock = {0};
    int value = 0, reading = 0;
    struct visitor writer = {&lock, &value, &reading, true}, reader = {&lock, &value, &reading, 0};
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 12; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, visit, i % 4 == 0 ? &writer : &reader, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 0);
    COIR_EXPECT_EQ(value, 60);
    expect_free(&lock);
}

COIR_TEST(description_says_who_holds_it)
{
    coir_rwlock lock = {0};
    struct record record = {0};
    HOLDER(b, 2, true);
    HOLDER(c, 3, false);
    coir_task *writer, *reader;
    char text[128];
    COIR_GROUP(group);
    coir_task_set_name(NULL, "the owner");
    COIR_REQUIRE_OK(coir_rwlock_acquire_write(&lock));
    START(&group, hold, &c, &reader);
    coir_task_describe(reader, text, sizeof text);
    COIR_EXPECT_STR(text, "waits to read under lock held by the writer 'the owner'");
    COIR_EXPECT_OK(coir_rwlock_downgrade(&lock));
    START(&group, hold, &b, &writer);
    coir_task_describe(writer, text, sizeof text);
    COIR_EXPECT_STR(text, "waits to write under lock held by 2 readers");
    coir_cancel(writer, NULL);
    coir_cancel(reader, NULL);
    (void)joined(writer);
    (void)joined(reader);
    COIR_EXPECT_OK(coir_rwlock_release_read(&lock));
}

static int use(void *arg)
{
    coir_rwlock *lock = arg;
    COIR_RWLOCK_READ(lock);
    return 0;
}

COIR_TEST_TAGGED(rwlock_of_another_loop, "own_loop")
{
    coir_rwlock lock = {0};
    coir_loop_opts opts = coir_test_loop_opts();
    coir_loop *first = NULL, *second = NULL;
    coir_task *task;
    int result = 0;
    COIR_EXPECT_CODE(coir_rwlock_acquire_read(&lock), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_rwlock_try_write(&lock), -COIR_ENOTASK);
    COIR_REQUIRE_OK(coir_loop_open(&opts, &first));
    if (COIR_EXPECT_OK(coir_loop_spawn(first, use, &lock, &task)))
        COIR_EXPECT_OK(coir_loop_run_until(first, task, &result));
    COIR_EXPECT_OK(result);
    if (COIR_EXPECT_OK(coir_loop_open(&opts, &second)) &&
        COIR_EXPECT_OK(coir_loop_spawn(second, use, &lock, &task)))
        COIR_EXPECT_OK(coir_loop_run_until(second, task, &result));
    COIR_EXPECT_CODE(result, -COIR_EWRONGLOOP);
    COIR_EXPECT_OK(coir_loop_close(second));
    COIR_EXPECT_OK(coir_loop_close(first));
}
