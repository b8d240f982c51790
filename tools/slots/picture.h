/* The 16384 slots as a picture: text for terminals, SVG for pages. No I/O but the stream given. */
#pragma once

#include <stdio.h>

#include "model.h"

/* 64 x 16 cells of 16 slots: how dark is how heavy, against the mean; with `colour` (ANSI) the owner too, else owners
 * are named in a second map. */
void picture_text(FILE *, const struct slot_map *, const int16_t owner[SLOTS], enum metric, bool colour);
/* A bar for each master. */
void picture_bars(FILE *, const struct slot_map *, const int16_t owner[SLOTS], enum metric);
/* 128 x 128 slots, coloured by owner, dark where heavy, bars beside. `after` NULL: one picture; else before and
 * after. */
void picture_svg(FILE *, const struct slot_map *, const int16_t *after, enum metric, const char *title);
