/* ouro-sim: master, replicas and chains in a world from a seed.
 *
 *   ouro-sim --seed 7 [--trace]        one run
 *   ouro-sim --runs 2000 [--seed 1]    as many, from that seed on
 *   ouro-sim FILE... [--write]         scenarios: their trace must be what the file says (--write: make it so) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/run.h"
#include "tests/sim/world.h"

static int usage(void)
{
    printf("ouro-sim [--seed N] [--runs N] [--trace] | ouro-sim [--trace] [--write] SCENARIO...\n");
    return 2;
}

static int random_runs(uint64_t seed, uint64_t runs)
{
    struct run_result sum = { 0 };
    for (uint64_t i = 0; i < runs; i++) {
        struct run_result one = run_random(seed + i);
        sum.states += one.states;
        sum.full += one.full;
        sum.partial += one.partial;
        sum.virtual_ms += one.virtual_ms;
    }
    printf("%llu runs from seed %llu: %llu states compared, %llu full and %llu partial syncs, %llu h of virtual time\n",
           (unsigned long long)runs, (unsigned long long)seed, (unsigned long long)sum.states,
           (unsigned long long)sum.full, (unsigned long long)sum.partial,
           (unsigned long long)(sum.virtual_ms / 3600000));
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, runs = 1;
    bool write = false, ok = true;
    int files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            runs = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--trace") == 0)
            world_tracing = true;
        else if (strcmp(argv[i], "--write") == 0)
            write = true;
        else if (argv[i][0] == '-')
            return usage();
        else
            argv[1 + files++] = argv[i];
    }
    for (int i = 1; i <= files; i++)
        ok &= run_scenario(argv[i], write);
    if (files)
        return ok ? 0 : 1;
    return random_runs(seed, runs);
}
