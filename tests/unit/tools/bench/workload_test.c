#include <criterion/criterion.h>

#include "common/alloc.h"
#include "tools/bench/workload.h"

static const struct options plain = {
    .keyspace = 1000,
    .fields = 1000,
    .key_size = 12,
    .key_prefix = "key:",
    .value_min = 4,
    .value_max = 4,
    .zipf_exponent = 1,
    .dist = DIST_SEQUENTIAL,
    .seed = 1,
};

static struct workload w;

/* Builds the workload and renders its first request, NUL-terminated. */
static void first_request(const struct options *o, char *ret_text)
{
    struct buf error = BUF_INIT(1000);
    uint8_t command;
    cr_assert(workload_init(&w, o, &error), "%s", buf_cstr(&error));
    size_t n = workload_render(&w, ret_text, &command);
    ret_text[n] = '\0';
    buf_done(&error);
}

Test(bench_workload, digits_are_patched_in_place)
{
    struct options o = plain;
    char text[500];
    uint8_t command;
    o.mix = "get";
    first_request(&o, text);
    cr_expect_str_eq(text, "*2\r\n$3\r\nGET\r\n$12\r\nkey:00000000\r\n");
    for (int i = 1; i < 321; i++)
        (void)workload_render(&w, text, &command);
    cr_expect_str_eq(text, "*2\r\n$3\r\nGET\r\n$12\r\nkey:00000320\r\n");
    cr_expect(w.fixed);
    workload_patch(&w, text);
    cr_expect_str_eq(text, "*2\r\n$3\r\nGET\r\n$12\r\nkey:00000321\r\n");
    workload_done(&w);
}

Test(bench_workload, placeholders_may_stand_within_words_and_quotes)
{
    struct options o = plain;
    char text[500];
    o.commands[o.commands_n++] = "hset \"a b\" <__field__> __key__";
    first_request(&o, text);
    cr_expect_str_eq(
        text, "*4\r\n$4\r\nhset\r\n$3\r\na b\r\n$14\r\n<f:0000000000>\r\n$12\r\nkey:00000000\r\n");
    cr_expect_str_eq(w.commands[0].name, "HSET");
    workload_done(&w);
}

Test(bench_workload, keys_may_be_longer_than_any_number)
{
    struct options o = plain;
    char text[500];
    o.key_size = 40;
    o.mix = "get";
    first_request(&o, text);
    workload_patch(&w, text);
    cr_expect_str_eq(text,
                     "*2\r\n$3\r\nGET\r\n$40\r\nkey:000000000000000000000000000000000001\r\n");
    workload_done(&w);
}

Test(bench_workload, a_range_of_sizes_has_both_ends)
{
    struct options o = plain;
    struct buf error = BUF_INIT(1000);
    o.mix = "set";
    o.value_min = 10;
    o.value_max = 2000;
    cr_assert(workload_init(&w, &o, &error));
    const struct workload_command *c = &w.commands[0];
    cr_assert(c->forms_n == VALUE_FORMS_MAX);
    cr_expect(memmem(c->forms[0].bytes, c->forms[0].n, "$10\r\n", 5));
    cr_expect(memmem(c->forms[c->forms_n - 1].bytes, c->forms[c->forms_n - 1].n, "$2000\r\n", 7));
    cr_expect(w.request_max == c->forms[c->forms_n - 1].n && !w.fixed);
    workload_done(&w);
}

Test(bench_workload, a_mix_has_its_shares)
{
    struct options o = plain;
    char text[500];
    uint64_t counts[2] = { 0 };
    o.mix = "get:90,PING:10";
    first_request(&o, text);
    for (int i = 0; i < 100000; i++) {
        uint8_t command;
        (void)workload_render(&w, text, &command);
        counts[command]++;
    }
    cr_expect(counts[0] > 89000 && counts[0] < 91000, "%llu", (unsigned long long)counts[0]);
    workload_done(&w);
}

Test(bench_workload, filling_takes_as_many_requests_as_keys_need)
{
    struct options o = plain;
    char text[1000];
    o.load = true;
    first_request(&o, text);
    cr_expect(workload_fill(&w) == 1000);
    workload_done(&w);
    o.mix = "mset";
    o.keyspace = 1001;
    first_request(&o, text);
    cr_expect(workload_fill(&w) == 101);
    workload_done(&w);
    o.mix = NULL;
    o.commands[o.commands_n++] = "SADD one __field__";
    o.fields = 77;
    first_request(&o, text);
    cr_expect(workload_fill(&w) == 77);
    workload_done(&w);
}

Test(bench_workload, every_builtin_command_builds)
{
    for (uint32_t i = 0; builtin_at(i); i++) {
        struct options o = plain;
        char text[2000];
        o.mix = builtin_at(i)->name;
        first_request(&o, text);
        cr_expect_str_eq(w.commands[0].name, builtin_at(i)->name);
        workload_done(&w);
    }
}

Test(bench_workload, mistakes_are_told)
{
    static const struct {
        const char *mix, *command;
        uint32_t key_size;
    } cases[] = {
        { "nosuch", NULL, 12 }, { "", NULL, 12 }, { "get:0", NULL, 12 },   { "get:-1", NULL, 12 },
        { "get:x", NULL, 12 },  { NULL, "", 12 }, { NULL, "set \"a", 12 }, { "get", NULL, 6 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options o = plain;
        struct buf error = BUF_INIT(1000);
        o.mix = cases[i].mix;
        o.key_size = cases[i].key_size;
        if (cases[i].command)
            o.commands[o.commands_n++] = cases[i].command;
        cr_expect(!workload_init(&w, &o, &error) && error.n > 0, "case %zu", i);
        workload_done(&w);
        buf_done(&error);
    }
}
