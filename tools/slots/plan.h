/* Where the slots should lie: packing 16384 loads on N masters, moving little. No I/O.
 *
 * A slot is never split, so no plan beats the bound: the mean, the heaviest slot, or two that must share a master. */
#pragma once

#include "model.h"

struct move {
    uint16_t slot;
    int16_t from, to; /* masters; from -1: nobody's */
};

struct plan {
    int16_t owner[SLOTS]; /* afterwards */
    struct move *moves;
    int moves_n;
    double before, after; /* heaviest master over the mean */
    double bound;         /* no placement of these slots has less */
    double moved;         /* load that moves, of the metric */
    struct load moved_load;
};

/* What the heaviest master has at least, over the mean. */
double plan_bound(const struct slot_map *, enum metric);
/* A placement within `tolerance` (0.02: 2 %) of the bound where one is found, with few moves; else the best found.
 * Slots without load stay, those without an owner get one. */
void plan_make(const struct slot_map *, enum metric, double tolerance, struct plan *ret_plan);
void plan_done(struct plan *);
