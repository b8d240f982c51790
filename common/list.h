/* Intrusive doubly linked list: the node is a member of the thing, the list is a ring through a
 * head of its own. Nothing is allocated; a thing can leave from anywhere in constant time.
 *
 *   struct client { ...; struct list_node in_pending; };
 *   list_push_back(&pending, &c->in_pending);
 *   LIST_EACH(&pending, n) { struct client *c = LIST_ITEM(n, struct client, in_pending); ... }
 *
 * A node that is in no list is zeroed or as list_remove left it; list_linked tells. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev, *next; /* both NULL when in no list */
};

struct list {
    struct list_node head;
};

#define LIST_ITEM(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->head.prev = l->head.next = &l->head;
}

static inline bool list_empty(const struct list *l)
{
    return l->head.next == &l->head;
}

static inline bool list_linked(const struct list_node *n)
{
    return n->next != NULL;
}

static inline void list_insert_between(struct list_node *prev, struct list_node *n,
                                       struct list_node *next)
{
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}

static inline void list_push_front(struct list *l, struct list_node *n)
{
    list_insert_between(&l->head, n, l->head.next);
}

static inline void list_push_back(struct list *l, struct list_node *n)
{
    list_insert_between(l->head.prev, n, &l->head);
}

static inline void list_remove(struct list_node *n) /* fine when in no list */
{
    if (!n->next)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = NULL;
}

/* NULL when there is none. */
static inline struct list_node *list_first(const struct list *l)
{
    return list_empty(l) ? NULL : l->head.next;
}

static inline struct list_node *list_last(const struct list *l)
{
    return list_empty(l) ? NULL : l->head.prev;
}

static inline struct list_node *list_next(const struct list *l, const struct list_node *n)
{
    return n->next == &l->head ? NULL : n->next;
}

static inline struct list_node *list_pop_front(struct list *l)
{
    struct list_node *n = list_first(l);
    if (n)
        list_remove(n);
    return n;
}

/* Moves all of `from` behind the last of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    struct list_node *first = from->head.next, *last = from->head.prev;
    first->prev = to->head.prev;
    to->head.prev->next = first;
    last->next = &to->head;
    to->head.prev = last;
    list_init(from);
}

#define LIST_EACH(l, n) \
    for (struct list_node *n = (l)->head.next; n != &(l)->head; n = n->next)

/* The body may remove or free `n` (nothing else). */
#define LIST_EACH_SAFE(l, n) \
    for (struct list_node *n = (l)->head.next, *n##_next = n->next; n != &(l)->head; \
         n = n##_next, n##_next = n->next)
