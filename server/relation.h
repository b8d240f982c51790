/* Who is interested in what: names on one side, clients on the other, and links between them. WATCH (keys) and
 * publish/subscribe (channels, patterns) are both this.
 *
 * A name lives as long as it has links. Linking, finding and unlinking take constant time, whatever the numbers; both
 * sides can be walked in the order in which the links were made. Names of different `space` (a database, a kind of
 * channel) are different. */
#pragma once

#include "common/bytes.h"
#include "common/list.h"
#include "common/table.h"

struct relation {
    struct table names, links;
};

struct relation_name {
    struct list links;  /* of struct relation_link, by in_name; oldest first */
    uint64_t links_n;
    void *user;         /* the user's, NULL at first */
    int32_t space;
    uint32_t n;         /* bytes of text */
    char text[];
};

struct relation_side { /* a client's links; embedded where the client's interest is kept */
    struct list links;  /* of struct relation_link, by in_side; oldest first */
    uint64_t links_n;
};

struct relation_link {
    struct list_node in_name, in_side;
    struct relation_name *name;   /* these two are the link's key */
    struct relation_side *side;
    void *owner;                  /* whose side it is: the client */
    bool mark;                    /* the user's */
};

void relation_init(struct relation *);
void relation_done(struct relation *); /* asserts that no links are left */
void relation_side_init(struct relation_side *);

struct relation_name *relation_find(const struct relation *, int space, struct bytes text); /* NULL: nobody is linked */
struct relation_link *relation_find_link(const struct relation *, const struct relation_name *,
                                         const struct relation_side *); /* NULL */
/* Links the side to the name. NULL when it was linked already. */
struct relation_link *relation_link(struct relation *, struct relation_side *, void *owner, int space,
                                    struct bytes text);
void relation_unlink(struct relation *, struct relation_link *); /* the name goes with its last link */

static inline struct bytes relation_text(const struct relation_name *n)
{
    return bytes_of(n->text, n->n);
}
