/* config.c: reads and judges the targets file, see config.h.
 *
 * The file is read whole and parsed into a tree by libyaml, which keeps the line of each node; then
 * the tree is walked and every problem is reported, not only the first. Whatever the YAML allows
 * and this file does not describe (unknown keys, a key twice, a list in the place of a text) is a
 * problem too. YAML's own limits hold: aliases are nodes of the tree that stand twice, never
 * copies, and the walk is three levels deep.
 */
#include "config.h"
#include "problem.h"

#include <coir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MOST = 1 << 20, TARGETS_MOST = 1000 };

struct loader {
    struct problems problems;
    yaml_document_t document;
    struct config *config;
    struct target defaults;
};

/* --- Mappings --------------------------------------------------------------------------------- */

/* A key that a mapping may have. */
struct key {
    const char *name;
    const char *(*read)(const char *text, size_t length,
                        struct target *target); /* NULL, or what was expected */
    const char *wanted; /* a key that must be there: what the message about its absence expects */
};

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static yaml_node_t *node_at(struct loader *loader, int index)
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
    const char *expected = "one text or number";
    if (value->type == YAML_SCALAR_NODE) {
        const char *text = (const char *)value->data.scalar.value;
        size_t length = value->data.scalar.length;
        if (strlen(text) == length)
            expected = key->read(text, length, target);
    }
    if (expected)
        problem(&loader->problems, line_of(node_at(loader, pair->key)), key->name, value, "%s",
                expected);
}

/* Finds the pair of each of the keys in a mapping, NULL when it is not there, and reads its value
 * into target. Others and doubles are problems. */
static void read_mapping(struct loader *loader, const yaml_node_t *mapping, const struct key *keys,
                         size_t count, struct target *target, const yaml_node_pair_t **ret_pairs)
{
    memset(ret_pairs, 0, count * sizeof *ret_pairs);
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key), *value = node_at(loader, pair->value);
        size_t i = index_of(keys, count, key);
        const char *name = key->type == YAML_SCALAR_NODE ? (char *)key->data.scalar.value : "?";
        char names[128];
        if (i < count && !ret_pairs[i]) {
            ret_pairs[i] = pair;
            if (keys[i].read)
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

/* --- Targets ---------------------------------------------------------------------------------- */

static const char *read_name(const char *text, size_t length, struct target *target)
{
    const char *expected = check_name(text, length);
    if (!expected)
        memcpy(target->name, text, length + 1);
    return expected;
}

static const char *read_address(const char *text, size_t length, struct target *target)
{
    const char *expected = parse_address(text, length, &target->address);
    if (!expected)
        memcpy(target->label, text, length + 1);
    return expected;
}

static const char *read_interval(const char *text, size_t length, struct target *target)
{
    (void)length;
    const char *expected = parse_duration(text, &target->interval);
    bool inside = target->interval >= COIR_MS(100) && target->interval <= COIR_SEC(86400);
    return expected || inside ? expected : "a duration from 100ms to 24h";
}

static const char *read_timeout(const char *text, size_t length, struct target *target)
{
    (void)length;
    const char *expected = parse_duration(text, &target->timeout);
    bool inside = target->timeout >= COIR_MS(10) && target->timeout <= COIR_SEC(300);
    return expected || inside ? expected : "a duration from 10ms to 5m";
}

static const char *read_retries(const char *text, size_t length, struct target *target)
{
    (void)length;
    long value;
    if (!parse_integer(text, &value) || value > 10)
        return "a whole number from 0 to 10";
    target->retries = (int)value;
    return NULL;
}

/* The last three can be given for all targets, under 'defaults'. */
static const struct key target_keys[] = {
    {"name", read_name, "a name"},     {"address", read_address, "tcp://host:port or unix:path"},
    {"interval", read_interval, NULL}, {"timeout", read_timeout, NULL},
    {"retries", read_retries, NULL},
};
static const struct key *default_keys = target_keys + 2;
enum { TARGET_KEYS = COIR_COUNT(target_keys), DEFAULT_KEYS = TARGET_KEYS - 2 };

/* A name is what people and results.jsonl know a target by. */
static void check_double(struct loader *loader, const yaml_node_pair_t *pair,
                         const struct target *target)
{
    for (size_t i = 0; i < loader->config->count; i++) {
        const struct target *other = &loader->config->targets[i];
        if (strcmp(other->name, target->name) == 0) {
            problem(&loader->problems, (size_t)target->line, "name", node_at(loader, pair->value),
                    "a name of its own, line %d has it already", other->line);
            return;
        }
    }
}

static void read_target(struct loader *loader, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        problem(&loader->problems, line_of(node), "targets", node,
                "a target: a mapping with name and address");
        return;
    }
    const yaml_node_pair_t *pairs[TARGET_KEYS];
    struct target target = loader->defaults;
    read_mapping(loader, node, target_keys, TARGET_KEYS, &target, pairs);
    for (size_t i = 0; i < TARGET_KEYS; i++)
        if (!pairs[i] && target_keys[i].wanted)
            problem(&loader->problems, line_of(node), target_keys[i].name, NULL, "%s",
                    target_keys[i].wanted);
    if (!target.name[0])
        return;
    target.line = (int)line_of(node_at(loader, pairs[0]->key));
    check_double(loader, pairs[0], &target);
    loader->config->targets[loader->config->count++] = target;
}

static void read_targets(struct loader *loader, size_t line, const yaml_node_t *list)
{
    bool is_list = list->type == YAML_SEQUENCE_NODE;
    ptrdiff_t count = is_list ? list->data.sequence.items.top - list->data.sequence.items.start : 0;
    if (count < 1 || count > TARGETS_MOST) {
        problem(&loader->problems, line, "targets", list, "a list of 1 to %d targets",
                TARGETS_MOST);
        return;
    }
    loader->config->targets = calloc((size_t)count, sizeof *loader->config->targets);
    if (!loader->config->targets) {
        problem(&loader->problems, line, "targets", list, "fewer of them, memory is short");
        return;
    }
    for (ptrdiff_t i = 0; i < count; i++)
        read_target(loader, node_at(loader, list->data.sequence.items.start[i]));
}

static void read_defaults(struct loader *loader, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        problem(&loader->problems, line_of(node), "defaults", node,
                "a mapping of interval, timeout, retries");
        return;
    }
    const yaml_node_pair_t *pairs[DEFAULT_KEYS];
    read_mapping(loader, node, default_keys, DEFAULT_KEYS, &loader->defaults, pairs);
}

static void read_root(struct loader *loader)
{
    static const struct key keys[] = {{"defaults", NULL, NULL}, {"targets", NULL, NULL}};
    const yaml_node_t *root = yaml_document_get_root_node(&loader->document);
    if (!root || root->type != YAML_MAPPING_NODE) {
        problem(&loader->problems, root ? line_of(root) : 1, "targets", NULL,
                "a mapping with a list of targets");
        return;
    }
    const yaml_node_pair_t *pairs[COIR_COUNT(keys)];
    read_mapping(loader, root, keys, COIR_COUNT(keys), NULL, pairs);
    if (pairs[0])
        read_defaults(loader, node_at(loader, pairs[0]->value));
    if (pairs[1])
        read_targets(loader, line_of(node_at(loader, pairs[1]->key)),
                     node_at(loader, pairs[1]->value));
    else
        problem(&loader->problems, line_of(root), "targets", NULL, "a list of 1 to %d targets",
                TARGETS_MOST);
}

/* --- The file --------------------------------------------------------------------------------- */

/* One document: more would be silently ignored otherwise. */
static void expect_end(struct loader *loader, yaml_parser_t *parser, const char *text,
                       size_t length)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) {
        problem_syntax(&loader->problems, parser, text, length);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    if (root)
        problem(&loader->problems, line_of(root), "---", root,
                "the end of the file, not a second document");
    yaml_document_delete(&second);
}

static void parse(struct loader *loader, const char *text, size_t length)
{
    yaml_parser_t parser = {0};
    if (!yaml_parser_initialize(&parser)) {
        problem_syntax(&loader->problems, &parser, text, length);
        return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    if (yaml_parser_load(&parser, &loader->document)) {
        read_root(loader);
        yaml_document_delete(&loader->document);
        expect_end(loader, &parser, text, length);
    } else {
        problem_syntax(&loader->problems, &parser, text, length);
    }
    yaml_parser_delete(&parser);
}

/* The whole file, terminated. Returns 0 or a negative code. */
static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    char *text = malloc(FILE_MOST + 2);
    *ret_length = text ? fread(text, 1, FILE_MOST + 1, file) : 0;
    int code = !text ? -ENOMEM : ferror(file) ? -errno : *ret_length > FILE_MOST ? -EFBIG : 0;
    fclose(file);
    if (code < 0) {
        free(text);
        return code;
    }
    text[*ret_length] = 0;
    *ret_text = text;
    return 0;
}

int config_load(const char *path, FILE *report, struct config *ret_config)
{
    *ret_config = (struct config){0};
    struct loader loader = {.problems = {path, report, 0}, .config = ret_config};
    loader.defaults =
        (struct target){.interval = COIR_SEC(5), .timeout = COIR_SEC(2), .retries = 1};
    char *text = NULL;
    size_t length = 0;
    int code = read_file(path, &text, &length);
    if (code < 0) {
        fprintf(report, "%s: expected a readable file of at most 1 MiB: %s\n", path,
                coir_error_text(code));
        return 1;
    }
    parse(&loader, text, length);
    free(text);
    int count = problems_end(&loader.problems);
    if (count > 0)
        config_free(ret_config);
    return count;
}

void config_free(struct config *config)
{
    free(config->targets);
    *config = (struct config){0};
}
