/* keys.c: walking mappings, and the keys of a target, see keys.h.
 *
 * Whatever the YAML allows and a key does not describe is a problem: unknown keys, a key twice, a
 * list in the place of a text.
 */
#include "keys.h"

#include <errno.h>
#include <string.h>

#include <coir/error.h>

enum { STATUSES_MOST = 32, HEADERS_MOST = 32 };

static const char wants_memory[] = "fewer targets, memory is short";

/* --- Mappings --------------------------------------------------------------------------------- */

size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

yaml_node_t *node_at(struct loader *loader, int index)
{
    return yaml_document_get_node(&loader->document, index);
}

/* The keys by name as "a, b, c", for a message. */
static const char *names_of(const struct key *keys, size_t count, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %s" : "%s", keys[i].name);
    return text;
}

static size_t index_of(const struct key *keys, size_t count, const yaml_node_t *key)
{
    size_t i = 0;
    while (i < count && (key->type != YAML_SCALAR_NODE ||
                         strcmp(keys[i].name, (const char *)key->data.scalar.value) != 0))
        i++;
    return i;
}

/* Reads the value of one key into target. */
static void read_value(struct loader *loader, const struct key *key, const yaml_node_pair_t *pair,
                       struct target *target)
{
    const yaml_node_t *value = node_at(loader, pair->value);
    size_t line = line_of(node_at(loader, pair->key));
    const char *expected = "one text or number";
    if (key->read_node) {
        key->read_node(loader, line, value);
        return;
    }
    if (value->type == YAML_SCALAR_NODE) {
        const char *text = (const char *)value->data.scalar.value;
        size_t length = value->data.scalar.length;
        if (strlen(text) == length)
            expected = key->read(loader, text, length, target);
    }
    if (expected)
        problem(&loader->problems, line, key->name, value, "%s", expected);
}

/* Finds the pair of each of the keys in a mapping, NULL when it is not there, and reads its value
 * into target. Others and doubles are problems. */
void read_mapping(struct loader *loader, const yaml_node_t *mapping, const struct key *keys,
                  size_t count, struct target *target, const yaml_node_pair_t **ret_pairs)
{
    memset(ret_pairs, 0, count * sizeof *ret_pairs);
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key), *value = node_at(loader, pair->value);
        size_t i = index_of(keys, count, key);
        const char *name = key->type == YAML_SCALAR_NODE ? (char *)key->data.scalar.value : "?";
        char names[160];
        if (i < count && !ret_pairs[i]) {
            ret_pairs[i] = pair;
            if (keys[i].read || keys[i].read_node)
                read_value(loader, &keys[i], pair, target);
        } else if (i == count) {
            problem(&loader->problems, line_of(key), name, value, "one of the keys %s",
                    names_of(keys, count, names, sizeof names));
        } else {
            problem(&loader->problems, line_of(key), name, value,
                    "this key once, line %zu has it already",
                    line_of(node_at(loader, ret_pairs[i]->key)));
        }
    }
}

/* --- Any target ------------------------------------------------------------------------------- */

static const char *read_name(struct loader *loader, const char *text, size_t length,
                             struct target *target)
{
    (void)loader;
    const char *expected = check_name(text, length);
    if (!expected)
        memcpy(target->name, text, length + 1);
    return expected;
}

static const char *read_address(struct loader *loader, const char *text, size_t length,
                                struct target *target)
{
    const char *expected = parse_address(text, length, &target->address);
    if (expected) {
        target->address.scheme = 0;
        return expected;
    }
    target->label = config_keep(loader->config, text, length + 1);
    return target->label ? NULL : wants_memory;
}

static const char *read_interval(struct loader *loader, const char *text, size_t length,
                                 struct target *target)
{
    (void)loader;
    (void)length;
    const char *expected = parse_duration(text, &target->interval);
    bool inside = target->interval >= COIR_MS(100) && target->interval <= COIR_SEC(86400);
    return expected || inside ? expected : "a duration from 100ms to 24h";
}

static const char *read_timeout(struct loader *loader, const char *text, size_t length,
                                struct target *target)
{
    (void)loader;
    (void)length;
    const char *expected = parse_duration(text, &target->timeout);
    bool inside = target->timeout >= COIR_MS(10) && target->timeout <= COIR_SEC(300);
    return expected || inside ? expected : "a duration from 10ms to 5m";
}

static const char *read_retries(struct loader *loader, const char *text, size_t length,
                                struct target *target)
{
    (void)loader;
    (void)length;
    long value;
    if (!parse_integer(text, &value) || value > 10)
        return "a whole number from 0 to 10";
    target->retries = (int)value;
    return NULL;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static const char *read_method(struct loader *loader, const char *text, size_t length,
                               struct target *target)
{
    (void)target;
    const char *expected = check_method(text, length);
    if (expected)
        return expected;
    loader->expectation.method = config_keep(loader->config, text, length + 1);
    return loader->expectation.method ? NULL : wants_memory;
}

static const char *read_body(struct loader *loader, const char *text, size_t length,
                             struct target *target)
{
    (void)target;
    if (length < 1 || length > BODY_MOST || !is_plain_text(text, length))
        return "a text of 1 to 256 bytes without control characters";
    loader->expectation.body = config_keep(loader->config, text, length + 1);
    return loader->expectation.body ? NULL : wants_memory;
}

/* A scalar without bytes of value 0, or NULL. */
static const char *text_of(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

/* One status or range, or a list of them. */
static void read_status(struct loader *loader, size_t line, const yaml_node_t *value)
{
    struct status_range ranges[STATUSES_MOST];
    bool is_list = value->type == YAML_SEQUENCE_NODE;
    ptrdiff_t count =
        is_list ? value->data.sequence.items.top - value->data.sequence.items.start : 1;
    if (count < 1 || count > STATUSES_MOST) {
        problem(&loader->problems, line, "status", value, "a list of 1 to %d statuses and ranges",
                STATUSES_MOST);
        return;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        const yaml_node_t *item =
            is_list ? node_at(loader, value->data.sequence.items.start[i]) : value;
        const char *text = text_of(item);
        const char *expected = text ? parse_statuses(text, &ranges[i])
                                    : "a status, a range such as 200-299, or a list of them";
        if (expected) {
            problem(&loader->problems, is_list ? line_of(item) : line, "status", item, "%s",
                    expected);
            return;
        }
    }
    struct expectation *expectation = &loader->expectation;
    expectation->status_count = (size_t)count;
    expectation->statuses = config_keep(loader->config, ranges, (size_t)count * sizeof ranges[0]);
    if (!expectation->statuses)
        problem(&loader->problems, line, "status", value, "%s", wants_memory);
}

/* Returns NULL, or what was expected. */
static const char *read_header(struct loader *loader, const yaml_node_t *key,
                               const yaml_node_t *value, coir_http_header *ret_header)
{
    const char *name = text_of(key), *text = text_of(value);
    if (!name || !text)
        return "one text or number";
    const char *expected = check_header_name(name, strlen(name));
    if (!expected)
        expected = check_header_value(text, strlen(text));
    if (expected)
        return expected;
    ret_header->name = config_keep(loader->config, name, strlen(name) + 1);
    ret_header->value = config_keep(loader->config, text, strlen(text) + 1);
    return ret_header->name && ret_header->value ? NULL : wants_memory;
}

/* A value may be a password: a message shows its name only. */
static void read_headers(struct loader *loader, size_t line, const yaml_node_t *value)
{
    coir_http_header headers[HEADERS_MOST + 1] = {{0}};
    bool is_mapping = value->type == YAML_MAPPING_NODE;
    const yaml_node_pair_t *pairs = is_mapping ? value->data.mapping.pairs.start : NULL;
    ptrdiff_t count = is_mapping ? value->data.mapping.pairs.top - pairs : 0;
    if (count < 1 || count > HEADERS_MOST) {
        problem(&loader->problems, line, "headers", is_mapping ? NULL : value,
                "a mapping of 1 to %d headers, name: value", HEADERS_MOST);
        return;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        const yaml_node_t *key = node_at(loader, pairs[i].key);
        const char *expected =
            read_header(loader, key, node_at(loader, pairs[i].value), &headers[i]);
        if (expected)
            problem(&loader->problems, line_of(key), "headers", key, "%s", expected);
    }
    struct expectation *expectation = &loader->expectation;
    expectation->headers =
        config_keep(loader->config, headers, ((size_t)count + 1) * sizeof headers[0]);
    if (!expectation->headers)
        problem(&loader->problems, line, "headers", NULL, "%s", wants_memory);
}

static const char *read_certificate_days(struct loader *loader, const char *text, size_t length,
                                         struct target *target)
{
    (void)loader;
    (void)length;
    long value;
    if (!parse_integer(text, &value) || value > 3650)
        return "a whole number of days from 0 to 3650";
    target->certificate_days = (int)value;
    return NULL;
}

/* A client that resumed a session would see the certificate of then. A check has its own deadline.
 */
static int open_context(struct context *context, const char *path)
{
    const coir_tls_opts opts = {.alpn = "http/1.1",
                                .trust_file = path,
                                .sessions = SIZE_MAX,
                                .handshake = COIR_SEC(300),
                                .no_linger = true};
    return coir_tls_context_open(COIR_TLS_CLIENT, &opts, &context->tls);
}

static const char *read_trust(struct loader *loader, const char *text, size_t length,
                              struct target *target)
{
    static char expected[128];
    struct config *config = loader->config;
    for (size_t i = 1; i < config->context_count; i++)
        if (strcmp(config->contexts[i].path, text) == 0) {
            target->trust = i;
            return NULL;
        }
    if (config->context_count == CONTEXTS_MOST)
        return "one of the files that others trust, there are 31 already";
    size_t place = config->context_count > 0 ? config->context_count : 1;
    struct context *context = &config->contexts[place];
    int code = open_context(context, text);
    if (code < 0) {
        snprintf(expected, sizeof expected, "a readable file of certificates in PEM (%s)",
                 code == -EINVAL ? "there is none in it" : coir_error_text(code));
        return expected;
    }
    context->path = config_keep(config, text, length + 1);
    config->context_count = place + 1;
    target->trust = place;
    return context->path ? NULL : wants_memory;
}

/* --- All keys --------------------------------------------------------------------------------- */

const struct key target_keys[TARGET_KEYS] = {
    {.name = "name", .read = read_name, .wanted = "a name"},
    {.name = "address",
     .read = read_address,
     .wanted = "tcp://host:port, unix:path, http://host/path or https://host/path"},
    {.name = "method", .read = read_method, .http = true},
    {.name = "headers", .read_node = read_headers, .http = true},
    {.name = "status", .read_node = read_status, .http = true},
    {.name = "body", .read = read_body, .http = true},
    {.name = "interval", .read = read_interval},
    {.name = "timeout", .read = read_timeout},
    {.name = "retries", .read = read_retries},
    {.name = "certificate_days", .read = read_certificate_days, .http = true},
    {.name = "trust", .read = read_trust, .http = true},
};

static void refuse_http_keys(struct loader *loader, const yaml_node_pair_t *const *pairs)
{
    for (size_t i = 0; i < TARGET_KEYS; i++)
        if (pairs[i] && target_keys[i].http)
            problem(&loader->problems, line_of(node_at(loader, pairs[i]->key)), target_keys[i].name,
                    node_at(loader, pairs[i]->value), "%s",
                    "this key only where the address is http:// or https://");
}

static const struct expectation *expect(struct loader *loader)
{
    static const struct status_range good = {200, 299};
    static const struct expectation usual = {.method = "GET", .statuses = &good, .status_count = 1};
    struct expectation *expectation = &loader->expectation;
    if (!expectation->method && !expectation->headers && !expectation->statuses &&
        !expectation->body)
        return &usual;
    if (!expectation->method)
        expectation->method = usual.method;
    if (!expectation->statuses) {
        expectation->statuses = usual.statuses;
        expectation->status_count = 1;
    }
    return config_keep(loader->config, expectation, sizeof *expectation);
}

void complete_target(struct loader *loader, const yaml_node_pair_t *const *pairs,
                     struct target *target)
{
    struct config *config = loader->config;
    if (target->address.scheme == TCP || target->address.scheme == UNIX)
        refuse_http_keys(loader, pairs);
    if (target->address.scheme != HTTP && target->address.scheme != HTTPS)
        return;
    target->expectation = expect(loader);
    if (config->context_count == 0)
        config->context_count = 1;
    struct context *context = &config->contexts[target->trust];
    if (!target->expectation || (!context->tls && open_context(context, NULL) < 0))
        problem(&loader->problems, (size_t)target->line, "address", NULL, "%s", wants_memory);
}
