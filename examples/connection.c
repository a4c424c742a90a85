/* connection.c: a resource with a wait in its opening and one in its closing.
 *
 * COIR_CLOSER makes COIR_AUTO(db) work, which is what "async with" does: the end of the block
 * closes the connection, on every path. The shield lets the closing wait in a cancelled task. The
 * last line is of a query without a connection.
 */
#include <coir/coir.h>
#include <stdio.h>

typedef struct db {
    const char *host;
    bool connected;
} db;

static int db_connect(db *connection, const char *host)
{
    printf("Connecting to %s\n", host);
    COIR_TRY(coir_sleep(COIR_SEC(0.1)));
    *connection = (db){.host = host, .connected = true};
    return 0;
}

static void db_close(db *connection)
{
    if (!connection->connected)
        return;
    COIR_SHIELD(COIR_SEC(1));
    printf("Closing connection to %s\n", connection->host);
    (void)!coir_sleep(COIR_SEC(0.1)); /* a goodbye that fails changes nothing */
    connection->connected = false;
}

COIR_CLOSER_VALUE(db, db_close);

static int db_query(db *connection, const char *sql)
{
    if (!connection->connected)
        return coir_fail(-ENOTCONN, "Not connected");
    COIR_TRY(coir_sleep(COIR_MS(50)));
    printf("Results for: %s\n", sql);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    {
        COIR_AUTO(db) connection = {0};
        COIR_TRY(db_connect(&connection, "localhost"));
        COIR_TRY(db_query(&connection, "SELECT * FROM users"));
    }
    int r = db_query(&(db){0}, "SELECT 1");
    printf("%s: %s\n", coir_error_name(r), coir_last_message(r));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
