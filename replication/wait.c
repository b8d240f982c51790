/* WAIT: clients that block until enough replicas have acknowledged an offset. The driver keeps the clients; here are
 * their numbers, by offset, by id and by deadline. */
#include "replication/inner.h"

#include "common/alloc.h"

void wait_init(struct waits *w)
{
    list_init(&w->by_offset);
    for (int i = 0; i < BUCKETS; i++)
        list_init(&w->buckets[i]);
}

static void waiter_free(struct waits *w, struct waiter *x)
{
    list_remove(&x->in_list);
    list_remove(&x->in_bucket);
    heap_remove(&w->deadlines, &x->in_heap);
    mem_free(x);
}

void wait_done(struct repl *r)
{
    LIST_EACH_SAFE(&r->waits.by_offset, n)
    {
        waiter_free(&r->waits, LIST_ITEM(n, struct waiter, in_list));
    }
    heap_done(&r->waits.deadlines);
}

int repl_acked(const struct repl *r, int64_t offset, bool fsynced)
{
    int count = 0;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state == ONLINE && (fsynced ? p->fsynced : p->acked) >= offset)
            count++;
    }
    return count;
}

static void wake(struct repl *r, uint64_t id, int count)
{
    struct repl_action *a = repl_act(r, REPL_WAKE);
    a->wait_id = id;
    a->n = (uint64_t)count;
}

void wait_add(struct repl *r, const struct repl_wait *wait)
{
    struct waits *w = &r->waits;
    int have = repl_acked(r, wait->offset, wait->fsynced);
    if (have >= wait->replicas || wait->deadline <= r->env.now) {
        wake(r, wait->id, have);
        return;
    }
    struct waiter *x = mem_zalloc(sizeof(*x));
    x->wait = *wait;
    struct list_node *after = w->by_offset.head.prev; /* offsets mostly come in order */
    while (after != &w->by_offset.head && LIST_ITEM(after, struct waiter, in_list)->wait.offset > wait->offset)
        after = after->prev;
    list_insert_between(after, &x->in_list, after->next);
    list_push_back(&w->buckets[bucket_of(wait->id)], &x->in_bucket);
    if (wait->deadline != REPL_NEVER)
        heap_set(&w->deadlines, &x->in_heap, wait->deadline);
    r->getack_wanted = true;
}

void wait_remove(struct repl *r, uint64_t id)
{
    LIST_EACH(&r->waits.buckets[bucket_of(id)], n)
    {
        struct waiter *x = LIST_ITEM(n, struct waiter, in_bucket);
        if (x->wait.id != id)
            continue;
        waiter_free(&r->waits, x);
        return;
    }
}

static void settle_one(struct repl *r, struct waiter *x, int have)
{
    wake(r, x->wait.id, have);
    waiter_free(&r->waits, x);
}

void wait_acked(struct repl *r)
{
    int64_t counted = -1; /* neighbours often wait for the same offset */
    bool fsynced = false;
    int have = 0;
    LIST_EACH_SAFE(&r->waits.by_offset, n)
    {
        struct waiter *x = LIST_ITEM(n, struct waiter, in_list);
        if (x->wait.offset != counted || x->wait.fsynced != fsynced) {
            counted = x->wait.offset;
            fsynced = x->wait.fsynced;
            have = repl_acked(r, counted, fsynced);
        }
        if (have >= x->wait.replicas)
            settle_one(r, x, have);
        else if (have == 0 && !fsynced)
            return; /* nobody has this offset, nor those behind it */
    }
}

void wait_tick(struct repl *r)
{
    while (heap_top_key(&r->waits.deadlines) <= r->env.now) {
        struct waiter *x = HEAP_ITEM(heap_top(&r->waits.deadlines), struct waiter, in_heap);
        settle_one(r, x, repl_acked(r, x->wait.offset, x->wait.fsynced));
    }
}
