/* A mock engine: one thread, HTTP/1.1 keep-alive on 127.0.0.1, vLLM's dialect (dialect.c), as cheap as it can be.

   mock_engine --port N [--model NAME]

   POST …/completions answers JSON, or the stream that the body scripts; GET /stats counts what happened. A client
   that hangs up in mid-stream is noticed at once and counted as aborted. Bodies must carry a content-length. */
#define _GNU_SOURCE
#include "dialect.h"
#include "wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 256, FRAMES_PER_TURN = 16, READ_SIZE = 1 << 18, UNSCHEDULED = -1 };

typedef struct connection {
    int fd;
    buffer in, out;
    long left;          /* events still to send; 0: no stream is open */
    bool first, usage;
    uint64_t gap, due;  /* nanoseconds */
    long place;         /* in the schedule, or UNSCHEDULED */
} connection;

static struct {
    int epoll, listener;
    dialect says;
    connection **schedule; /* a binary heap, the earliest due first */
    long scheduled, room;
    uint64_t connections, open, requests, streams, finished, aborted;
} mock;

static void put(long place, connection *item) {
    mock.schedule[place] = item;
    item->place = place;
}

static void sift_up(long place, connection *item) {
    for (; place > 0 && mock.schedule[(place - 1) / 2]->due > item->due; place = (place - 1) / 2)
        put(place, mock.schedule[(place - 1) / 2]);
    put(place, item);
}

static void sift_down(long place, connection *item) {
    for (long child; (child = 2 * place + 1) < mock.scheduled; place = child) {
        if (child + 1 < mock.scheduled && mock.schedule[child + 1]->due < mock.schedule[child]->due) child++;
        if (mock.schedule[child]->due >= item->due) break;
        put(place, mock.schedule[child]);
    }
    put(place, item);
}

static void schedule(connection *item) {
    if (item->place != UNSCHEDULED) return;
    if (mock.scheduled == mock.room) {
        mock.room = mock.room * 2 + 64;
        mock.schedule = realloc(mock.schedule, (size_t)mock.room * sizeof *mock.schedule);
    }
    sift_up(mock.scheduled++, item);
}

static void unschedule(connection *item) {
    long place = item->place;
    if (place == UNSCHEDULED) return;
    item->place = UNSCHEDULED;
    connection *last = mock.schedule[--mock.scheduled];
    if (last == item) return;
    sift_down(place, last);
    sift_up(last->place, last);
}

static void watch(connection *item, bool writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.ptr = item};
    epoll_ctl(mock.epoll, EPOLL_CTL_MOD, item->fd, &event);
}

/* Sends at once what the socket takes and keeps the rest; a failed write is noticed by the next read. */
static void say(connection *item, const buffer *text) {
    ssize_t sent = item->out.length > 0 ? 0 : send(item->fd, text->bytes, text->length, MSG_NOSIGNAL);
    if (sent < 0) sent = 0;
    if ((size_t)sent == text->length) return;
    if (item->out.length == 0) watch(item, true);
    buffer_append(&item->out, text->bytes + sent, text->length - (size_t)sent);
}

static void say_last(connection *item) {
    buffer ending = {0};
    buffer_append(&ending, mock.says.finish.bytes, mock.says.finish.length);
    if (item->usage) buffer_append(&ending, mock.says.usage.bytes, mock.says.usage.length);
    buffer_append(&ending, mock.says.done.bytes, mock.says.done.length);
    say(item, &ending);
    buffer_free(&ending);
    mock.finished++;
}

static void say_first(connection *item) {
    buffer opening = {0};
    buffer_append(&opening, mock.says.stream_head.bytes, mock.says.stream_head.length);
    buffer_append(&opening, mock.says.role.bytes, mock.says.role.length);
    say(item, &opening);
    buffer_free(&opening);
    item->first = false;
}

/* Sends the events that are due, no more than the client takes, and leaves the next one in the schedule. */
static void pump(connection *item) {
    uint64_t now = now_ns();
    for (int frames = 0; item->left > 0 && item->due <= now && item->out.length == 0; frames++) {
        if (frames == FRAMES_PER_TURN) break;
        if (item->first) say_first(item);
        else if (item->left == 1) say_last(item);
        else say(item, &mock.says.content);
        item->left--;
        item->due += item->gap;
    }
    if (item->left > 0 && item->out.length == 0) schedule(item);
}

static void say_stats(connection *item) {
    buffer body = {0}, whole = {0};
    buffer_printf(&body, "{\"connections\":%lu,\"open\":%lu,\"requests\":%lu,\"streams\":%lu,\"finished\":%lu,"
                         "\"aborted\":%lu}",
                  mock.connections, mock.open, mock.requests, mock.streams, mock.finished, mock.aborted);
    buffer_printf(&whole, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%.*s",
                  body.length, (int)body.length, body.bytes);
    say(item, &whole);
    buffer_free(&body);
    buffer_free(&whole);
}

static bool starts(const char *head, const char *with) { return strncmp(head, with, strlen(with)) == 0; }

static void complete(connection *item, const char *head, const char *body, size_t length) {
    mock.requests++;
    script asked = script_of(body, length);
    if (starts(head, "POST /v1/chat/completions") && asked.stream) {
        mock.streams++;
        item->left = asked.events < 2 ? 2 : asked.events;
        item->first = true;
        item->usage = asked.usage;
        item->gap = (uint64_t)asked.gap_ms * 1000000u;
        item->due = now_ns();
        pump(item);
    } else if (starts(head, "POST /v1/chat/completions")) say(item, &mock.says.json);
    else if (starts(head, "POST /v1/completions")) say(item, &mock.says.completion);
    else if (starts(head, "GET /v1/models")) say(item, &mock.says.models);
    else if (starts(head, "GET /stats")) say_stats(item);
    else if (starts(head, "GET /health")) say(item, &mock.says.ok);
    else say(item, &mock.says.not_found);
}

/* Answers every whole request in the input buffer; a stream that is open is answered to its end first. */
static void take_requests(connection *item) {
    while (item->left == 0 && item->in.length > 0) {
        char *end = memmem(item->in.bytes, item->in.length, "\r\n\r\n", 4);
        if (end == NULL) return;
        size_t head = (size_t)(end - item->in.bytes) + 4;
        const char *announced = header_value(item->in.bytes, head, "content-length:");
        size_t body = announced == NULL ? 0 : strtoul(announced, NULL, 10);
        if (item->in.length < head + body) return;
        complete(item, item->in.bytes, item->in.bytes + head, body);
        buffer_drop(&item->in, head + body);
    }
}

static void hang_up(connection *item) {
    if (item->left > 0) mock.aborted++;
    unschedule(item);
    close(item->fd);
    buffer_free(&item->in);
    buffer_free(&item->out);
    free(item);
    mock.open--;
}

/* False where the connection is gone. */
static bool read_some(connection *item) {
    static char bytes[READ_SIZE];
    ssize_t got = recv(item->fd, bytes, sizeof bytes, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    buffer_append(&item->in, bytes, (size_t)got);
    take_requests(item);
    return true;
}

static void write_rest(connection *item) {
    ssize_t sent = send(item->fd, item->out.bytes, item->out.length, MSG_NOSIGNAL);
    if (sent > 0) buffer_drop(&item->out, (size_t)sent);
    if (item->out.length > 0) return;
    watch(item, false);
    pump(item);
    take_requests(item);
}

static void accept_all(void) {
    for (int fd; (fd = accept_from(mock.listener)) >= 0;) {
        connection *item = calloc(1, sizeof *item);
        item->fd = fd;
        item->place = UNSCHEDULED;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = item};
        epoll_ctl(mock.epoll, EPOLL_CTL_ADD, fd, &event);
        mock.connections++;
        mock.open++;
    }
}

static void pump_due(void) {
    for (uint64_t now = now_ns(); mock.scheduled > 0 && mock.schedule[0]->due <= now;) {
        connection *item = mock.schedule[0];
        unschedule(item);
        bool was_open = item->left > 0;
        pump(item);
        if (was_open && item->left == 0) take_requests(item);
        if (item->gap == 0) break; /* an unpaced stream gives way to the sockets after each turn */
    }
}

static void react(struct epoll_event *event) {
    connection *item = event->data.ptr;
    if (item == NULL) {
        accept_all();
        return;
    }
    if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_some(item)) {
        hang_up(item);
        return;
    }
    if (event->events & EPOLLOUT) write_rest(item);
}

static struct timespec until_due(void) {
    uint64_t now = now_ns();
    uint64_t wait = mock.schedule[0]->due > now ? mock.schedule[0]->due - now : 0;
    return (struct timespec){.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    mock.says = dialect_of(text_option(argc, argv, "--model", "mock"));
    mock.listener = listen_on((uint16_t)option(argc, argv, "--port", 9000));
    mock.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(mock.epoll, EPOLL_CTL_ADD, mock.listener, &accepting);
    for (;;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        struct timespec wait = mock.scheduled > 0 ? until_due() : (struct timespec){0};
        int count = epoll_pwait2(mock.epoll, events, EVENTS_AT_ONCE, mock.scheduled > 0 ? &wait : NULL, NULL);
        for (int i = 0; i < count; i++) react(&events[i]);
        pump_due();
    }
}
