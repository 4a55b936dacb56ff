#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

void samples_add(samples *self, uint64_t nanoseconds) {
    if (self->count == self->room) {
        self->room = self->room * 2 + 1024;
        self->values = realloc(self->values, self->room * sizeof *self->values);
        if (self->values == NULL) abort();
    }
    self->values[self->count++] = nanoseconds;
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double milliseconds(const samples *self, double quantile) {
    size_t index = (size_t)(quantile * (double)(self->count - 1) + 0.5);
    return (double)self->values[index] / 1e6;
}

void samples_print(samples *self, const char *name) {
    if (self->count == 0) {
        printf("\"%s\":null", name);
        return;
    }
    qsort(self->values, self->count, sizeof *self->values, compare);
    printf("\"%s\":{\"count\":%zu,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"max\":%.4f}", name, self->count,
           milliseconds(self, 0.5), milliseconds(self, 0.9), milliseconds(self, 0.99), milliseconds(self, 1.0));
}
