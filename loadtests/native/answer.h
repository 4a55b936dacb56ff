/* An HTTP/1.1 answer being read: bytes in, facts out, no sockets. */
#ifndef ANSWER_H
#define ANSWER_H

#include "wire.h"

typedef enum { HEAD, LENGTH_BODY, CLOSE_BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, COMPLETE, BAD } answer_state;

typedef struct {
    answer_state state;
    char head[8192];
    size_t head_length;
    int status;
    bool closes;         /* the server will close the connection */
    uint64_t left;       /* bytes of the body or of the chunk that are still to come */
    uint64_t body;       /* bytes of the body so far */
    unsigned events;     /* blank lines in the body: SSE events so far */
    char tail[16];       /* the last bytes of the body */
    size_t line;         /* length of the current line of a trailer */
} answer;

void answer_reset(answer *self);
void answer_feed(answer *self, const char *bytes, size_t length);
/* The connection has ended: completes a body that is bounded by it. */
void answer_end(answer *self);
/* Whether the body of a stream came to its `data: [DONE]`. */
bool answer_is_done(const answer *self);

#endif
