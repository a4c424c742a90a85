/* keys.h: what stands in the mappings of a targets file: walking them, and the keys of a target.
 *
 * A loader is a file under way: the tree that YAML has made of it, the problems so far, and the
 * config that is to come of it. config.c owns it and knows the shape of the file; keys.c knows what
 * each key of a target means.
 */
#ifndef PULSE_KEYS_H
#define PULSE_KEYS_H

#include "config.h"
#include "problem.h"

struct loader {
    struct problems problems;
    yaml_document_t document;
    struct config *config;
    struct target defaults;
    struct expectation expectation; /* of the target that is being read */
    void *names;                    /* targets by name, for tsearch */
};

/* A key that a mapping may have, and how its value is read into a target: a text by read, which
 * gives back NULL or what was expected; other nodes by read_node, which tells its problems
 * itself. */
struct key {
    const char *name;
    const char *(*read)(struct loader *loader, const char *text, size_t length,
                        struct target *target);
    void (*read_node)(struct loader *loader, size_t line, const yaml_node_t *value);
    const char *wanted; /* a key that must be there: what the message about its absence expects */
    bool http;          /* it goes with http:// and https:// only */
};

/* All keys of a target. Those behind its own ones may also stand under 'defaults'. */
enum { TARGET_KEYS = 11, OWN_KEYS = 6, DEFAULT_KEYS = TARGET_KEYS - OWN_KEYS };
extern const struct key target_keys[TARGET_KEYS];

/* The place, counted from 1, and the node that a number in a pair or a list stands for. */
size_t line_of(const yaml_node_t *node);
yaml_node_t *node_at(struct loader *loader, int index);

/* Finds the pair of each of the keys in a mapping, NULL when it is not there, and reads its value
 * into target. Others and doubles are problems. */
void read_mapping(struct loader *loader, const yaml_node_t *mapping, const struct key *keys,
                  size_t count, struct target *target, const yaml_node_pair_t **ret_pairs);

/* Gives a target that was read what its address needs, and tells of keys that do not go with it. */
void complete_target(struct loader *loader, const yaml_node_pair_t *const *pairs,
                     struct target *target);

/* Copies size bytes into memory that lives as long as config. NULL when memory is short. */
void *config_keep(struct config *config, const void *data, size_t size);

#endif
