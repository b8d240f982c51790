/* Key files, slot tables, plans on disk: what is read back, what is refused. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tools/slots/keyfile.h"
#include "tools/slots/planfile.h"

static struct slot_map map;

static FILE *text(const char *s)
{
    return fmemopen((void *)s, strlen(s), "r");
}

Test(slots_files, key_lines_have_up_to_two_figures)
{
    struct tags *t = tags_new();
    bool memory, ops;
    long line;
    slot_map_init(&map);
    FILE *f = text("plain\nwith space {t}\t12\n{t}\t8\t3\r\n\n{u}\t1.5\t0");
    cr_assert(keyfile_read(f, t, &map, &memory, &ops, &line));
    cr_expect(memory && ops);
    cr_expect_eq(tags_keys(t), 4);
    cr_expect_eq(tags_total(t, BY_MEMORY), 21.5);
    cr_expect_eq(map.loads[key_slot(BYTES("t"))].of[BY_OPS], 3);
    cr_expect_eq(map.loads[key_slot(BYTES("t"))].of[BY_KEYS], 2);
    fclose(f);
    tags_free(t);
}

Test(slots_files, malformed_key_lines_are_named)
{
    static const char *const bad[] = { "k\tx", "k\t1\t2\t3", "k\t-1", "k\t", "k\t1e99", "k\tnan", "k\t1 " };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tags *t = tags_new();
        char both[64];
        bool memory, ops;
        long line;
        (void)snprintf(both, sizeof both, "fine\n%s\n", bad[i]);
        FILE *f = text(both);
        cr_expect_not(keyfile_read(f, t, NULL, &memory, &ops, &line), "%s", bad[i]);
        cr_expect_eq(line, 2);
        fclose(f);
        tags_free(t);
    }
}

Test(slots_files, slot_tables)
{
    long line;
    slot_map_init(&map);
    FILE *f = text("# slot owner keys\n0 a 5 100\n1 b 6\n\n2 - 7 1 2 3\n");
    cr_assert(slotfile_read(f, &map, &line));
    cr_expect_eq(map.masters_n, 2);
    cr_expect_eq(map.owner[0], 0);
    cr_expect_eq(map.owner[1], 1);
    cr_expect_eq(map.owner[2], -1);
    cr_expect_eq(map.loads[2].of[BY_OPS], 3);
    fclose(f);
    slot_map_done(&map);
    static const char *const bad[] = { "16384 a 1", "-1 a 1", "0 a", "0 a x", "0 a 1\n0 b 1", "0 a -1", "hello", "" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        slot_map_init(&map);
        f = bad[i][0] ? text(bad[i]) : text("#");
        cr_expect_not(slotfile_read(f, &map, &line), "'%s'", bad[i]);
        fclose(f);
        slot_map_done(&map);
    }
}

Test(slots_files, a_plan_is_worked_off_line_by_line)
{
    char *written = NULL;
    size_t n = 0;
    slot_map_init(&map);
    (void)slot_map_add_master(&map, "aaaa", "", 0);
    (void)slot_map_add_master(&map, "bbbb", "", 0);
    struct move moves[2] = { { 7, 0, 1 }, { 16383, -1, 0 } };
    struct plan plan = { .moves = moves, .moves_n = 2 };
    FILE *f = open_memstream(&written, &n);
    cr_assert_eq(planfile_write(f, &map, &plan, "::1", 7000), 0);
    fprintf(f, "done 16383\ndone 7"); /* cut off: not done */
    fclose(f);
    struct planfile p;
    long line;
    f = text(written);
    cr_assert(planfile_read(f, &p, &line), "line %ld", line);
    cr_expect_str_eq(p.seed_host, "::1");
    cr_expect_eq(p.seed_port, 7000);
    cr_assert_eq(p.moves_n, 2);
    cr_expect(p.moves[0].slot == 7 && !p.moves[0].done && strcmp(p.moves[0].to, "bbbb") == 0);
    cr_expect(p.moves[1].slot == 16383 && p.moves[1].done && strcmp(p.moves[1].from, "-") == 0);
    planfile_done(&p);
    fclose(f);
    free(written);
    slot_map_done(&map);
}

Test(slots_files, what_is_no_plan_is_refused)
{
    static const char *const bad[] = {
        "", "hello\n", "ouro-slots plan 2\nseed h 1\n", "ouro-slots plan 1\n", "ouro-slots plan 1\nseed h 99999\n",
        "ouro-slots plan 1\nseed h 1\nmove 16384 a b\n", "ouro-slots plan 1\nseed h 1\ndone 3\n",
        "ouro-slots plan 1\nseed h 1\nwhat\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct planfile p;
        long line;
        FILE *f = bad[i][0] ? text(bad[i]) : text("\n");
        cr_expect_not(planfile_read(f, &p, &line), "'%s'", bad[i]);
        planfile_done(&p);
        fclose(f);
    }
}
