/* The index of the spill file: which part of the stream lies in it, with a checksum each. The bytes are the
 * driver's. */
#include "common/crc64.h"
#include "replication/inner.h"

bool spill_has(const struct spill *s, int64_t position)
{
    return ring_count(&s->pieces) && position >= s->first && position < s->end;
}

const struct spill_piece *spill_at(const struct spill *s, int64_t position)
{
    ASSERT(spill_has(s, position));
    size_t low = 0, high = ring_count(&s->pieces);
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        const struct spill_piece *piece = ring_at(&s->pieces, mid);
        if (piece->from <= position)
            low = mid;
        else
            high = mid;
    }
    return ring_at(&s->pieces, low);
}

void spill_add(struct spill *s, int64_t from, struct bytes b)
{
    if (ring_count(&s->pieces) == 0)
        s->first = s->end = from;
    ASSERT(s->end == from);
    ASSERT(b.n > 0 && b.n <= UINT32_MAX);
    struct spill_piece *piece = ring_push(&s->pieces);
    ASSERT(piece);
    *piece = (struct spill_piece){ from, (uint32_t)b.n, crc64(0, b) };
    s->end += (int64_t)b.n;
}

void spill_drop_to(struct spill *s, int64_t position)
{
    while (ring_count(&s->pieces)) {
        const struct spill_piece *piece = ring_front(&s->pieces);
        if (piece->from + piece->n > position)
            return;
        s->first = piece->from + piece->n;
        ring_pop(&s->pieces);
    }
}

void spill_clear(struct spill *s)
{
    ring_clear(&s->pieces);
    s->first = s->end = 0;
}
