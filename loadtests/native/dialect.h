/* What the mock engine says: vLLM's answers, built once at start and sent as they are. */
#ifndef DIALECT_H
#define DIALECT_H

#include "wire.h"

typedef struct {
    buffer json;                            /* a whole response: 0.9 kB of chat completion */
    buffer completion;                      /* the same for /v1/completions, one token (a warm-up) */
    buffer models, ok, not_found;           /* whole responses */
    buffer stream_head;                     /* status line and headers of an SSE answer */
    buffer role, content, finish, usage;    /* one SSE event each, framed as one HTTP chunk */
    buffer done;                            /* [DONE] and the last chunk */
} dialect;

dialect dialect_of(const char *model);

/* What a request asks for. The script of a stream travels in standard fields, so that every router passes it on:
   `max_tokens` is the number of events that carry a choice, `seed` the milliseconds between two of them. */
typedef struct {
    bool stream, usage;
    long events, gap_ms;
} script;

script script_of(const char *body, size_t length);

#endif
