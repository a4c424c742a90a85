/* file_atomic.c: a file of settings that is never half written, and who waits for it to change.
 *
 * With `atomic` the new text is written beside the old one, forced to the disk, and takes its name:
 * whoever reads sees one or the other. So a watcher waits for the name to be given.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

static int show_changes(void *arg)
{
    const char *directory = arg;
    COIR_AUTO(coir_fs_watch) *watch = NULL;
    COIR_TRY(coir_fs_watch_open(&watch));
    COIR_TRY(coir_fs_watch_add(watch, directory, IN_MOVED_TO, NULL));
    coir_ready();
    coir_fs_event event;
    for (int i = 0; i < 2; i++) {
        COIR_TRY(coir_fs_watch_next(watch, &event));
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, event.name);
        COIR_AUTO(coir_buffer) text = {.limit = 4096};
        COIR_TRY(coir_file_read_all(path, &text));
        printf("%s is now: %s", event.name, coir_buffer_text(&text));
    }
    return 0;
}

static int app(void *arg)
{
    const char *directory = arg;
    char path[128];
    snprintf(path, sizeof path, "%s/settings", directory);
    COIR_GROUP(group);
    coir_task *watcher;
    COIR_TRY(
        coir_spawn_with(&group, show_changes, arg, &(coir_spawn_opts){.ready = true}, &watcher));

    coir_write_all_opts atomic = {.atomic = true};
    COIR_TRY(coir_file_write_all(path, "volume 11\n", 10, &atomic));
    COIR_TRY(coir_sleep(COIR_MS(100)));
    COIR_TRY(coir_file_write_all(path, "volume 7\n", 9, &atomic));
    COIR_TRY(coir_join(watcher, NULL));
    COIR_TRY(coir_fs_unlink(path, 0));
    return coir_fs_rmdir(directory, 0);
}

int main(void)
{
    char directory[] = "/tmp/coir-settings-XXXXXX";
    return mkdtemp(directory) == NULL ? 1 : coir_main(app, directory);
}
