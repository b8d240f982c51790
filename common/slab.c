/* Slabs: see slab.h for what they promise.
 *
 * Memory comes from the system in chunks of CHUNK_BYTES, aligned to their size, of SLABS_PER_CHUNK
 * slabs each. All headers of a chunk lie together near its start, not at the start of each slab:
 * headers 64 KiB apart would all fall into the same set of the processor's caches. For the same
 * reason the start itself shifts from chunk to chunk (its colour). The first slab of a chunk loses
 * the bytes that the headers take.
 *
 *   chunk: | colour | struct chunk | headers 0 .. 31 | blocks of slab 0 | slab 1 | ... | slab 31 |
 *
 * One slab per class is current and serves all allocations: from its free list, else from the part
 * never used (bump). A slab that is not current only ever loses blocks. `low` is the number of used
 * blocks below which it has to move: a full one (low = its capacity) gets onto a list of its class
 * with the first free, the lists are by quarters of fullness, and with the last block it becomes
 * empty. So a free costs one comparison, and when the current slab is exhausted the fullest of the
 * others can be chosen, which lets the emptier ones drain.
 *
 * An empty slab is kept warm, for any class to take. A chunk with nothing in use is unmapped whole,
 * but for the last few; single slabs give their pages back only when a sixteenth of all are warm,
 * because during a mass deletion their neighbours are about to follow, and one unmap is much
 * cheaper than 32 small ones (which split huge pages, too). Under ASan everything goes to malloc,
 * so that it sees each block.
 *
 * Chunks but the first few ask for huge pages: a lookup in a large keyspace is a miss of the TLB
 * too, and fork() copies 512 times fewer page table entries (0.5 GB: 0.4 ms instead of 15). What
 * huge pages were blamed for is no more: since Linux 5.8 a write after fork() splits the page and
 * copies 4 KiB of it, not all. */
#include "common/slab.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/sanitize.h"

static _Atomic size_t used_bytes;

static inline void count_used(size_t delta)
{
    /* One writer: no locked add. */
    size_t v = atomic_load_explicit(&used_bytes, memory_order_relaxed);
    atomic_store_explicit(&used_bytes, v + delta, memory_order_relaxed);
}

size_t slab_used_bytes(void)
{
    return atomic_load_explicit(&used_bytes, memory_order_relaxed);
}

#if WITH_ASAN

void *slab_alloc(size_t n)
{
    if (n > SLAB_MAX)
        return mem_alloc(n);
    void *p = malloc(n ? n : 1);
    ASSERT(p != NULL);
    count_used(slab_good_size(n));
    return p;
}

void slab_free(void *p, size_t n)
{
    if (n > SLAB_MAX) {
        mem_free(p);
        return;
    }
    if (!p)
        return;
    ASSERT(slab_good_size(mem_usable(p)) == slab_good_size(n));
    count_used(-slab_good_size(n));
    free(p);
}

void *slab_alloc_whole(void)
{
    void *p = malloc(SLAB_BYTES);
    ASSERT(p != NULL);
    count_used(SLAB_BYTES);
    return p;
}

void slab_free_whole(void *p)
{
    count_used(p ? -(size_t)SLAB_BYTES : 0);
    free(p);
}

void slab_stats_get(struct slab_stats *ret_stats)
{
    *ret_stats = (struct slab_stats){ .used_bytes = slab_used_bytes() };
}

size_t slab_release_some(size_t bytes)
{
    (void)bytes;
    return 0;
}

size_t slab_release_empty(void)
{
    return 0;
}

#else

#define CHUNK_BYTES ((size_t)2 * 1024 * 1024)
#define SLABS_PER_CHUNK (CHUNK_BYTES / SLAB_BYTES)
#define ALL_SLABS ((uint32_t)-1)
#define PAGE_BYTES 4096
#define CLASSES (SLAB_MAX / 8)
#define QUARTERS 4
#define SMALL_CHUNKS 2 /* a server with little data does not take more than it uses */
#define WARM_MIN 32 /* slabs that stay warm even when their chunk could be unmapped: 2 MiB */

struct slab {
    void *free;         /* blocks given back, linked through their first word */
    char *bump, *end;   /* blocks never used yet: [bump, end), a multiple of the size */
    uint32_t used;      /* blocks handed out */
    uint32_t low;       /* see above; 0 for the current slab, which never moves */
    uint32_t capacity;  /* blocks */
    uint16_t class;     /* block size / 8 - 1 */
    uint16_t quarter;   /* list it is in, when low < capacity */
    struct slab *prev, *next;
} __attribute__((aligned(64)));

struct chunk {
    uint32_t warm, cold; /* bit per slab not in use: its pages are there, or are not */
    struct chunk *prev, *next; /* among the chunks with such slabs */
} __attribute__((aligned(64)));

STATIC_ASSERT(sizeof(struct slab) == 64, "a slab's header is one cache line");
STATIC_ASSERT(SLABS_PER_CHUNK == 32, "one bit per slab in uint32_t");

#define HEAD_BYTES (sizeof(struct chunk) + SLABS_PER_CHUNK * sizeof(struct slab))
#define COLOURS 8

struct class {
    struct slab *current;
    struct slab *partial[QUARTERS];
};

static struct slab none; /* stands for "no current slab": nothing free, nothing left */
static struct class classes[CLASSES] = { [0 ... CLASSES - 1] = { .current = &none } };
static struct chunk *available; /* chunks with a slab to give, list */
static size_t slabs_in_use, slabs_warm, chunks;

static inline struct chunk *chunk_of(const void *p)
{
    uintptr_t base = (uintptr_t)p & ~(uintptr_t)(CHUNK_BYTES - 1);
    uintptr_t colour = base / CHUNK_BYTES % COLOURS;
    return (struct chunk *)(base + colour * HEAD_BYTES);
}

static inline struct slab *chunk_slab(struct chunk *c, size_t i)
{
    return (struct slab *)(c + 1) + i;
}

static inline struct slab *slab_of(const void *p)
{
    return chunk_slab(chunk_of(p), (uintptr_t)p % CHUNK_BYTES / SLAB_BYTES);
}

static size_t slab_index(const struct slab *s)
{
    return (size_t)(s - chunk_slab(chunk_of(s), 0));
}

/* ---- chunks ---- */

static void chunk_link(struct chunk *c)
{
    c->prev = NULL;
    c->next = available;
    if (available)
        available->prev = c;
    available = c;
}

static void chunk_unlink(struct chunk *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        available = c->next;
    if (c->next)
        c->next->prev = c->prev;
}

/* Maps twice the size and cuts off what is not aligned. */
static void chunk_map(void)
{
    const int protection = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
    char *p = mmap(NULL, 2 * CHUNK_BYTES, protection, kind, -1, 0);
    if (p == MAP_FAILED)
        PANIC("out of memory mapping %zu bytes for slabs", CHUNK_BYTES);
    size_t before = -(uintptr_t)p % CHUNK_BYTES;
    if (before)
        (void)munmap(p, before);
    (void)munmap(p + before + CHUNK_BYTES, CHUNK_BYTES - before);

    if (++chunks > SMALL_CHUNKS)
        (void)madvise(p + before, CHUNK_BYTES, MADV_HUGEPAGE); /* an advice */

    struct chunk *c = chunk_of(p + before);
    c->cold = ALL_SLABS;
    chunk_link(c);
}

/* Where the blocks of slab i start, and the pages that hold nothing but blocks of it. */
static char *slab_start(struct chunk *c, size_t i)
{
    if (i == 0)
        return (char *)(c + 1) + SLABS_PER_CHUNK * sizeof(struct slab);
    return (char *)((uintptr_t)c & ~(uintptr_t)(CHUNK_BYTES - 1)) + i * SLAB_BYTES;
}

static char *slab_end(struct chunk *c, size_t i)
{
    return (char *)((uintptr_t)c & ~(uintptr_t)(CHUNK_BYTES - 1)) + (i + 1) * SLAB_BYTES;
}

/* Gives the pages of a warm slab back; the slab stays with the chunk. */
static void slab_chill(struct chunk *c, size_t i)
{
    uintptr_t from = ((uintptr_t)slab_start(c, i) + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
    (void)madvise((void *)from, (uintptr_t)slab_end(c, i) - from, MADV_DONTNEED);
    c->warm &= ~(1u << i);
    c->cold |= 1u << i;
    slabs_warm--;
}

static void chunk_unmap(struct chunk *c)
{
    slabs_warm -= (size_t)__builtin_popcount(c->warm);
    chunks--;
    chunk_unlink(c);
    (void)munmap((void *)((uintptr_t)c & ~(uintptr_t)(CHUNK_BYTES - 1)), CHUNK_BYTES);
}

/* Takes a slab of the first chunk that has one among `wanted`; its index there. */
static struct chunk *chunk_take(uint32_t wanted, size_t *ret_i)
{
    struct chunk *c = available;
    while (c && !((c->warm | c->cold) & wanted))
        c = c->next;
    if (!c) {
        chunk_map();
        c = available;
    }
    uint32_t *from = c->warm & wanted ? &c->warm : &c->cold;
    size_t i = (size_t)__builtin_ctz(*from & wanted);
    *from &= ~(1u << i);
    slabs_warm -= from == &c->warm;
    if (!(c->warm | c->cold))
        chunk_unlink(c);
    slabs_in_use++;
    *ret_i = i;
    return c;
}

static struct slab *slab_take(size_t class)
{
    size_t i;
    struct chunk *c = chunk_take(ALL_SLABS, &i);

    size_t size = (class + 1) * 8;
    char *start = slab_start(c, i);
    size_t capacity = (size_t)(slab_end(c, i) - start) / size;
    struct slab *s = chunk_slab(c, i);
    *s = (struct slab){
        .bump = start,
        .end = start + capacity * size,
        .capacity = (uint32_t)capacity,
        .class = (uint16_t)class,
    };
    return s;
}

static void slab_give_back(struct slab *s)
{
    ASSERT(s->used == 0);
    struct chunk *c = chunk_of(s);
    size_t i = slab_index(s);
    if (!(c->warm | c->cold))
        chunk_link(c);
    c->warm |= 1u << i;
    slabs_warm++;
    slabs_in_use--;
    if (slabs_warm <= WARM_MIN)
        return;
    if ((c->warm | c->cold) == ALL_SLABS)
        chunk_unmap(c);
    else if (slabs_warm > 2 * WARM_MIN + slabs_in_use / 16)
        slab_chill(c, i);
}

/* ---- lists of a class ---- */

static void partial_link(struct slab *s, uint32_t quarter)
{
    struct slab **head = &classes[s->class].partial[quarter];
    s->quarter = (uint16_t)quarter;
    s->prev = NULL;
    s->next = *head;
    if (*head)
        (*head)->prev = s;
    *head = s;
}

static void partial_unlink(struct slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        classes[s->class].partial[s->quarter] = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

/* Used blocks fell below `low`: to the list where it belongs now, or away when it is empty. */
static __attribute__((noinline)) void slab_sink(struct slab *s)
{
    if (s->low < s->capacity)
        partial_unlink(s);
    if (s->used == 0) {
        slab_give_back(s);
        return;
    }
    uint32_t quarter = s->used * QUARTERS / s->capacity;
    uint32_t low = (quarter * s->capacity + QUARTERS - 1) / QUARTERS;
    s->low = low ? low : 1;
    partial_link(s, quarter);
}

/* The current slab is exhausted: lets go of it and makes the fullest other one, or a new one,
 * current. */
static void class_advance(size_t class)
{
    struct class *k = &classes[class];
    if (k->current != &none)
        k->current->low = k->current->capacity;
    for (int q = QUARTERS - 1; q >= 0; q--) {
        struct slab *s = k->partial[q];
        if (s) {
            partial_unlink(s);
            s->low = 0;
            k->current = s;
            return;
        }
    }
    k->current = &none; /* so that a panic in between finds no full slab here */
    k->current = slab_take(class);
}

/* ---- the paths that are hot ---- */

static inline void *slab_pop(struct slab *s, size_t size)
{
    void *p = s->free;
    if (__builtin_expect(p != NULL, 1)) {
        s->free = *(void **)p;
    } else {
        p = s->bump;
        if (__builtin_expect(p == s->end, 0))
            return NULL;
        s->bump += size;
    }
    s->used++;
    count_used(size);
    return p;
}

static __attribute__((noinline)) void *alloc_slow(size_t n)
{
    if (n > SLAB_MAX)
        return mem_alloc(n);
    size_t size = slab_good_size(n);
    class_advance(size / 8 - 1);
    return slab_pop(classes[size / 8 - 1].current, size);
}

void *slab_alloc(size_t n)
{
    if (__builtin_expect(n > SLAB_MAX, 0))
        return alloc_slow(n);
    size_t size = slab_good_size(n);
    void *p = slab_pop(classes[size / 8 - 1].current, size);
    return __builtin_expect(p != NULL, 1) ? p : alloc_slow(n);
}

void slab_free(void *p, size_t n)
{
    if (__builtin_expect(n > SLAB_MAX, 0)) {
        mem_free(p);
        return;
    }
    if (__builtin_expect(!p, 0))
        return;
    struct slab *s = slab_of(p);
    size_t size = slab_good_size(n);
    ASSERT(s->class == size / 8 - 1); /* else the block is not what the caller thinks */
    *(void **)p = s->free;
    s->free = p;
    count_used(-size);
    if (__builtin_expect(--s->used < s->low, 0))
        slab_sink(s);
}

/* ---- whole slabs ---- */

#define WHOLE_SLABS (ALL_SLABS & ~1u) /* the first of a chunk is short of the headers */

void *slab_alloc_whole(void)
{
    size_t i;
    struct chunk *c = chunk_take(WHOLE_SLABS, &i);
    *chunk_slab(c, i) = (struct slab){ .used = 1, .low = 1, .capacity = 1, .class = CLASSES };
    count_used(SLAB_BYTES);
    return slab_start(c, i);
}

void slab_free_whole(void *p)
{
    if (!p)
        return;
    struct slab *s = slab_of(p);
    ASSERT(s->class == CLASSES && s->used == 1);
    s->used = 0;
    count_used(-(size_t)SLAB_BYTES);
    slab_give_back(s);
}

/* ---- statistics and release ---- */

void slab_stats_get(struct slab_stats *ret_stats)
{
    size_t slabs = slabs_in_use + slabs_warm;
    *ret_stats = (struct slab_stats){
        .slabs = slabs,
        .slab_bytes = slabs * SLAB_BYTES,
        .used_bytes = slab_used_bytes(),
    };
}

static void release_current(void)
{
    for (size_t i = 0; i < CLASSES; i++) {
        struct slab *s = classes[i].current;
        if (s != &none && s->used == 0) {
            classes[i].current = &none;
            slab_give_back(s);
        }
    }
}

size_t slab_release_some(size_t bytes)
{
    if (slabs_warm == 0)
        release_current();
    size_t before = slabs_warm;
    for (struct chunk *c = available, *next; c && (before - slabs_warm) * SLAB_BYTES < bytes; c = next) {
        next = c->next;
        if ((c->warm | c->cold) == ALL_SLABS) {
            chunk_unmap(c);
            continue;
        }
        while (c->warm && (before - slabs_warm) * SLAB_BYTES < bytes)
            slab_chill(c, (size_t)__builtin_ctz(c->warm));
    }
    return (before - slabs_warm) * SLAB_BYTES;
}

size_t slab_release_empty(void)
{
    release_current();
    return slab_release_some(SIZE_MAX);
}

#endif
