/* What the mock engine and the load generator share: a growing buffer, sockets on 127.0.0.1, options, the clock. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *bytes;
    size_t length, capacity;
} buffer;

void buffer_append(buffer *target, const void *bytes, size_t length);
void buffer_printf(buffer *target, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forgets the first `length` bytes. */
void buffer_drop(buffer *target, size_t length);
void buffer_free(buffer *target);

/* Monotonic nanoseconds. */
uint64_t now_ns(void);

/* Both exit with a message where the socket cannot be had: a benchmark without its sockets has nothing to say. */
int listen_on(uint16_t port);
/* A connection being made (non-blocking, TCP_NODELAY); -1 where it is refused at once. It comes from
   127.0.0.(1 + source); `receive_buffer` 0: the system's default. */
int connect_to(uint16_t port, unsigned source, int receive_buffer);
int accept_from(int listener);

/* Value of a header in `head` (which ends in a blank line), or NULL. `name` is lower case and ends in a colon. */
const char *header_value(const char *head, size_t length, const char *name);

/* The number after `--name` in argv, or `fallback`. */
long option(int argc, char **argv, const char *name, long fallback);
const char *text_option(int argc, char **argv, const char *name, const char *fallback);
bool flag(int argc, char **argv, const char *name);

#endif
