/* A request kept beyond its turn has its own bytes, and the blobs it was given. */
#include "server/kept.h"

#include <criterion/criterion.h>

#include "common/alloc.h"

TestSuite(kept, .timeout = 10);

Test(kept, slices_are_copied_and_outlive_the_buffer_they_pointed_into)
{
    char line[] = "SETkeyvalue";
    struct bytes argv[] = { bytes_of(line, 3), bytes_of(line + 3, 3), bytes_of(line + 6, 5), bytes_of(NULL, 0) };
    struct kept *k = kept_new(4, argv, NULL);
    memset(line, '#', sizeof(line));
    cr_expect_eq(k->argc, 4);
    cr_expect_null(k->blobs);
    cr_expect_null(k->next);
    cr_expect(bytes_eq(k->argv[0], BYTES("SET")));
    cr_expect(bytes_eq(k->argv[1], BYTES("key")));
    cr_expect(bytes_eq(k->argv[2], BYTES("value")));
    cr_expect_eq(k->argv[3].n, 0);
    cr_expect_eq(k->memory, sizeof(*k) + 4 * sizeof(struct bytes) + 11);
    kept_free(k);
}

Test(kept, blobs_are_taken_over_not_copied)
{
    size_t before = mem_used();
    struct blob *b = blob_new(40000, 40000);
    memset(b->data, 'v', b->n);
    struct bytes argv[] = { BYTES("SET"), BYTES("k"), blob_bytes(b) };
    struct blob *blobs[] = { NULL, NULL, b };
    struct kept *k = kept_new(3, argv, blobs);
    cr_expect_null(blobs[2], "the slot gives up its reference");
    cr_expect_eq(k->blobs[2], b);
    cr_expect_eq(k->argv[2].p, b->data);
    cr_expect(bytes_eq(k->argv[1], BYTES("k")));
    cr_expect_lt(k->memory, 1000);
    kept_free(k);
    cr_expect_eq(mem_used(), before, "the blob goes with the request");
}

Test(kept, a_blob_taken_out_stays)
{
    struct blob *b = blob_new(4, 4);
    struct bytes argv[] = { blob_bytes(b) };
    struct blob *blobs[] = { b };
    struct kept *k = kept_new(1, argv, blobs);
    struct blob *mine = k->blobs[0];
    k->blobs[0] = NULL;
    kept_free(k);
    memcpy(mine->data, "good", 4);
    blob_unref(mine);
    kept_free(NULL);
}
