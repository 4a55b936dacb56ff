#define _GNU_SOURCE
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_reset(answer *self) {
    self->state = HEAD;
    self->head_length = 0;
    self->status = 0;
    self->closes = false;
    self->left = self->body = 0;
    self->events = 0;
    self->line = 0;
    memset(self->tail, 0, sizeof self->tail);
}

static bool value_is(const char *value, const char *expected) {
    return value != NULL && strncasecmp(value, expected, strlen(expected)) == 0;
}

static void read_head(answer *self) {
    if (self->head_length < 12 || memcmp(self->head, "HTTP/1.", 7) != 0) {
        self->state = BAD;
        return;
    }
    self->status = (int)strtol(self->head + 9, NULL, 10);
    self->closes = value_is(header_value(self->head, self->head_length, "connection:"), "close");
    const char *length = header_value(self->head, self->head_length, "content-length:");
    if (value_is(header_value(self->head, self->head_length, "transfer-encoding:"), "chunked")) {
        self->state = CHUNK_SIZE;
    } else if (length != NULL) {
        self->left = strtoull(length, NULL, 10);
        self->state = self->left == 0 ? COMPLETE : LENGTH_BODY;
    } else {
        self->closes = true;
        self->state = CLOSE_BODY;
    }
}

static size_t take_head(answer *self, const char *bytes, size_t length) {
    size_t before = self->head_length, room = sizeof self->head - before;
    size_t copied = length < room ? length : room;
    memcpy(self->head + before, bytes, copied);
    size_t from = before < 3 ? 0 : before - 3;
    const char *end = memmem(self->head + from, before + copied - from, "\r\n\r\n", 4);
    if (end == NULL) {
        self->head_length = before + copied;
        if (self->head_length == sizeof self->head) self->state = BAD;
        return copied;
    }
    self->head_length = (size_t)(end - self->head) + 4;
    read_head(self);
    return self->head_length - before;
}

static void keep_tail(answer *self, const char *bytes, size_t length) {
    size_t room = sizeof self->tail;
    if (length >= room) {
        memcpy(self->tail, bytes + length - room, room);
        return;
    }
    memmove(self->tail, self->tail + length, room - length);
    memcpy(self->tail + room - length, bytes, length);
}

static void take_body(answer *self, const char *bytes, size_t length) {
    char before = self->tail[sizeof self->tail - 1];
    const char *end = bytes + length;
    for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        if ((at == bytes ? before : at[-1]) == '\n') self->events++;
    keep_tail(self, bytes, length);
    self->body += length;
}

static size_t take_counted(answer *self, const char *bytes, size_t length, answer_state then) {
    size_t taken = length < self->left ? length : (size_t)self->left;
    take_body(self, bytes, taken);
    self->left -= taken;
    if (self->left == 0) self->state = then;
    return taken;
}

static int digit_of(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    return -1;
}

static size_t take_size(answer *self, char letter) {
    int digit = digit_of(letter);
    if (digit >= 0) self->left = self->left * 16 + (uint64_t)digit;
    else if (letter == '\n') self->state = self->left == 0 ? TRAILER : CHUNK_DATA;
    else if (letter != '\r') self->state = BAD; /* chunk extensions are not ours to meet */
    return 1;
}

static size_t take_trailer(answer *self, char letter) {
    if (letter == '\n') {
        if (self->line == 0) self->state = COMPLETE;
        self->line = 0;
    } else if (letter != '\r') self->line++;
    return 1;
}

static size_t take(answer *self, const char *bytes, size_t length) {
    switch (self->state) {
        case HEAD: return take_head(self, bytes, length);
        case LENGTH_BODY: return take_counted(self, bytes, length, COMPLETE);
        case CLOSE_BODY: take_body(self, bytes, length); return length;
        case CHUNK_SIZE: return take_size(self, *bytes);
        case CHUNK_DATA: return take_counted(self, bytes, length, CHUNK_END);
        case CHUNK_END:
            if (*bytes == '\n') self->state = CHUNK_SIZE;
            return 1;
        case TRAILER: return take_trailer(self, *bytes);
        case COMPLETE: self->state = BAD; return length; /* more than was asked for */
        case BAD: return length;
    }
    return length;
}

void answer_feed(answer *self, const char *bytes, size_t length) {
    for (size_t at = 0; at < length;) at += take(self, bytes + at, length - at);
}

void answer_end(answer *self) {
    if (self->state == CLOSE_BODY) self->state = COMPLETE;
    else if (self->state != COMPLETE) self->state = BAD;
}

bool answer_is_done(const answer *self) {
    static const char DONE[] = "data: [DONE]\n\n";
    return memcmp(self->tail + sizeof self->tail - (sizeof DONE - 1), DONE, sizeof DONE - 1) == 0;
}
