/* condition.c: buyers wait until the shop has what they want.
 *
 * coir_condition_wait_for gives the lock up while it waits and holds it again when it returns. The
 * predicate is looked at with the lock held, before the first wait and after each notification.
 */
#include <coir/coir.h>
#include <stdio.h>

struct shop {
    coir_lock lock;
    coir_condition changed;
    int stock;
};

struct buyer {
    struct shop *shop;
    const char *name;
    int wants;
};

static bool has_enough(void *arg)
{
    struct buyer *buyer = arg;
    return buyer->shop->stock >= buyer->wants;
}

static int buy(void *arg)
{
    struct buyer *buyer = arg;
    struct shop *shop = buyer->shop;
    COIR_LOCK(&shop->lock);
    COIR_TRY(coir_condition_wait_for(&shop->changed, &shop->lock, has_enough, buyer));
    shop->stock -= buyer->wants;
    printf("%s buys %d, %d left\n", buyer->name, buyer->wants, shop->stock);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct shop shop = {0};
    struct buyer buyers[] = {{&shop, "Ann", 3}, {&shop, "Ben", 1}};
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(buyers); i++)
        COIR_TRY(coir_spawn(&group, buy, &buyers[i], NULL));
    for (int delivery = 0; delivery < 4; delivery++) {
        COIR_TRY(coir_sleep(COIR_MS(10)));
        COIR_LOCK(&shop.lock);
        shop.stock++;
        printf("a delivery, %d in stock\n", shop.stock);
        coir_condition_notify_all(&shop.changed);
    }
    return coir_group_wait(&group);
}

int main(void)
{
    return coir_main(app, NULL);
}
