/* config.c: reads and judges the targets file, see config.h.
 *
 * The file is read whole and parsed into a tree by libyaml, which keeps the line of each node; then
 * the tree is walked, by keys.c where mappings are, and every problem is reported, not only the
 * first. YAML's own limits hold: aliases are nodes of the tree that stand twice, never copies, and
 * the walk is four levels deep.
 */
#include "config.h"
#include "keys.h"

#include <coir/error.h>

#include <errno.h>
#include <malloc.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MOST = 16 << 20, TARGETS_MOST = 100000 };

/* --- Memory ----------------------------------------------------------------------------------- */

struct text {
    struct text *next;
    _Alignas(max_align_t) char data[];
};

void *config_keep(struct config *config, const void *data, size_t size)
{
    struct text *text = malloc(sizeof *text + size);
    if (!text)
        return NULL;
    text->next = config->texts;
    config->texts = text;
    return memcpy(text->data, data, size);
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->context_count; i++)
        coir_tls_context_close(config->contexts[i].tls);
    for (struct text *text = config->texts, *next; text; text = next) {
        next = text->next;
        free(text);
    }
    free(config->targets);
    *config = (struct config){0};
}

/* --- Targets ---------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct target *)a)->name, ((const struct target *)b)->name);
}

/* A name is what people and results.jsonl know a target by. */
static void check_double(struct loader *loader, const yaml_node_pair_t *pair,
                         const struct target *target)
{
    struct target *const *found = tsearch(target, &loader->names, compare_names);
    if (found && *found != target)
        problem(&loader->problems, (size_t)target->line, "name", node_at(loader, pair->value),
                "a name of its own, line %d has it already", (*found)->line);
}

static void read_target(struct loader *loader, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE) {
        problem(&loader->problems, line_of(node), "targets", node,
                "a target: a mapping with name and address");
        return;
    }
    const yaml_node_pair_t *pairs[TARGET_KEYS];
    struct target *target = &loader->config->targets[loader->config->count];
    *target = loader->defaults;
    loader->expectation = (struct expectation){0};
    read_mapping(loader, node, target_keys, TARGET_KEYS, target, pairs);
    for (size_t i = 0; i < TARGET_KEYS; i++)
        if (!pairs[i] && target_keys[i].wanted)
            problem(&loader->problems, line_of(node), target_keys[i].name, NULL, "%s",
                    target_keys[i].wanted);
    target->line = (int)line_of(pairs[0] ? node_at(loader, pairs[0]->key) : node);
    complete_target(loader, pairs, target);
    if (!target->name[0])
        return;
    check_double(loader, pairs[0], target);
    loader->config->count++;
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
                "a mapping of interval, timeout, retries, certificate_days, trust");
        return;
    }
    const yaml_node_pair_t *pairs[DEFAULT_KEYS];
    read_mapping(loader, node, target_keys + OWN_KEYS, DEFAULT_KEYS, &loader->defaults, pairs);
}

static void read_root(struct loader *loader)
{
    static const struct key keys[] = {{.name = "defaults"}, {.name = "targets"}};
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

static void keep_name(void *target)
{
    (void)target;
}

int config_load(const char *path, FILE *report, struct config *ret_config)
{
    *ret_config = (struct config){0};
    struct loader loader = {.problems = {path, report, 0}, .config = ret_config};
    loader.defaults = (struct target){
        .interval = COIR_SEC(5), .timeout = COIR_SEC(2), .retries = 1, .certificate_days = 14};
    char *text = NULL;
    size_t length = 0;
    int code = read_file(path, &text, &length);
    if (code < 0) {
        fprintf(report, "%s: expected a readable file of at most 16 MiB: %s\n", path,
                coir_error_text(code));
        return 1;
    }
    parse(&loader, text, length);
    free(text);
    tdestroy(loader.names, keep_name);
    int count = problems_end(&loader.problems);
    if (count > 0)
        config_free(ret_config);
    return count;
}
