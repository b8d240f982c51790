/* The list of things to do that a step returns. */
#include "cluster/cluster.h"

#include "common/alloc.h"

void cluster_actions_init(struct cluster_actions *a)
{
    *a = (struct cluster_actions){ 0 };
    arena_init(&a->arena);
}

void cluster_actions_clear(struct cluster_actions *a)
{
    a->n = 0;
    a->reply = (struct cluster_reply){ 0 };
    arena_reset(&a->arena);
}

void cluster_actions_done(struct cluster_actions *a)
{
    mem_free(a->v);
    arena_done(&a->arena);
    *a = (struct cluster_actions){ 0 };
}
