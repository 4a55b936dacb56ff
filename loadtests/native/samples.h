/* Durations in nanoseconds, kept one by one: a run is short, and exact percentiles need no explanation. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "wire.h"

typedef struct {
    uint64_t *values;
    size_t count, room;
} samples;

void samples_add(samples *self, uint64_t nanoseconds);
/* `"name":{"count":…,"p50":…,"p90":…,"p99":…,"max":…}` in milliseconds; nulls where there is none. */
void samples_print(samples *self, const char *name);

#endif
