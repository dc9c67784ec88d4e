/* yamltree.h - the inside of a YAML tree, only for yaml.c (queries) and yamlread.c (builds). */
#ifndef LB_COMMON_YAMLTREE_H
#define LB_COMMON_YAMLTREE_H

#include "common/yaml.h"

struct yaml_node {
    struct yaml *tree;
    const struct yaml_node *parent; /* NULL: the root, or a key */
    struct yaml_node *key;          /* in a map: the key of this value, owned by the map */
    size_t index;                   /* in a sequence: the place */
    enum yaml_kind kind;
    unsigned line, column;
    bool quoted;
    char *text; /* scalars: n bytes and a NUL */
    size_t n;
    struct yaml_node **items; /* values of a map, items of a sequence */
    /* of a map: the same values ordered by key, for lookup and for finding duplicates */
    struct yaml_node **sorted;
    size_t count, cap;
};

struct yaml {
    char *name;
    struct yaml_node *root;
};

/* Bytewise, the shorter first. */
int yaml_key_cmp(struct span a, struct span b);
void yaml_node_free(struct yaml_node *node);

#endif
