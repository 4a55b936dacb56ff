/* A load generator: one thread, N clients of 127.0.0.1, each a closed loop of one request after the other.

   load --port N [--connections 64] [--ms 2000] [--requests 0] [--ramp-ms 0] [--body-bytes 1200] [--model mock]
        [--stream --events 100 --gap-ms 20] [--fresh] [--drop] [--read-rate BYTES_PER_SECOND] [--key KEY]

   --requests: stop after that many (0: no limit). --ramp-ms: the clients start evenly spread over that time.
   --fresh: a new connection for each request. --drop: hang up instead of reading: every second client at once
   after its request, the others at the first byte. --read-rate: read that slowly, and hang up when time is out.
   No new request is sent after --ms; answers may come for GRACE_NS more. Prints one JSON object. */
#define _GNU_SOURCE
#include "answer.h"
#include "samples.h"
#include "wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 256, READ_SIZE = 1 << 18, TICK_NS = 20000000, SMALL_RECEIVE_BUFFER = 16384, SOURCES = 64 };
static const uint64_t SECOND = 1000000000u, GRACE_NS = 10000000000u;

typedef struct {
    int fd, number;
    bool busy, reused;   /* reused: the connection has carried an answer before */
    bool spoke;          /* the first token has come */
    size_t unsent;       /* bytes of the request that the socket did not take yet */
    uint64_t sent, last; /* when the request was sent, and when the last bytes came; 0: none yet */
    answer reply;
} client;

static struct {
    int epoll;
    uint16_t port;
    bool stream, fresh, drop;
    long connections, limit, read_rate;
    uint64_t begun, deadline, ended, ramp;
    buffer request;
    client *clients;
    long opened, busy, started;
    uint64_t completed, errors, refused, bad_status, cut, dropped, reconnects, bytes, events;
    samples latency, first, between;
} load;

static void begin_request(client *self);

static bool may_start(uint64_t now) {
    uint64_t failures = load.errors;
    return now < load.deadline && (load.limit == 0 || load.started < load.limit) &&
           failures < 1000 + 10 * (uint64_t)load.connections; /* a dead server is not worth a hot loop */
}

static void disconnect(client *self) {
    if (self->fd >= 0) close(self->fd);
    self->fd = -1;
}

static void finish(client *self) {
    self->busy = false;
    load.busy--;
    load.ended = now_ns();
    if (may_start(load.ended)) begin_request(self);
    else disconnect(self);
}

static void fail(client *self, uint64_t *counter) {
    (*counter)++;
    load.errors++;
    disconnect(self);
    finish(self);
}

static void watch(client *self, int operation, bool writable) {
    bool readable = load.read_rate == 0;
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), .data.ptr = self};
    epoll_ctl(load.epoll, operation, self->fd, &event);
}

static bool is_early_dropper(const client *self) { return load.drop && self->number % 2 == 0; }

static void hang_up(client *self) {
    load.dropped++;
    disconnect(self);
    finish(self);
}

static void send_request(client *self) {
    const char *rest = load.request.bytes + load.request.length - self->unsent;
    ssize_t sent = send(self->fd, rest, self->unsent, MSG_NOSIGNAL);
    if (sent > 0) self->unsent -= (size_t)sent;
    if (self->unsent == 0 && is_early_dropper(self)) hang_up(self);
}

/* A flood would run out of ports: each address has 28,000, and each port rests for a minute after its use. */
static unsigned source_of(uint64_t connection) { return load.fresh ? 1 + (unsigned)(connection % SOURCES) : 0; }

static bool open_connection(client *self) {
    int receive_buffer = load.read_rate > 0 ? SMALL_RECEIVE_BUFFER : 0;
    self->fd = connect_to(load.port, source_of((uint64_t)load.started), receive_buffer);
    if (self->fd < 0) return false;
    self->reused = false;
    watch(self, EPOLL_CTL_ADD, true); /* writable: connected */
    return true;
}

static void begin_request(client *self) {
    self->busy = true;
    load.busy++;
    load.started++;
    answer_reset(&self->reply);
    self->unsent = load.request.length;
    self->spoke = false;
    self->last = 0;
    self->sent = now_ns();
    if (self->fd >= 0) {
        send_request(self);
        if (self->busy && self->unsent > 0) watch(self, EPOLL_CTL_MOD, true);
    } else if (!open_connection(self)) fail(self, &load.refused);
}

static void complete(client *self) {
    uint64_t now = now_ns();
    if (self->reply.status != 200) load.bad_status++;
    bool whole = !load.stream || answer_is_done(&self->reply);
    if (!whole && self->reply.status == 200) load.cut++;
    if (!whole || self->reply.status != 200) load.errors++;
    else {
        load.completed++;
        samples_add(&load.latency, now - self->sent);
    }
    self->reused = true;
    if (self->reply.closes || load.fresh) disconnect(self);
    finish(self);
}

/* A server may close an idle connection just as the next request is sent: that one is sent again, once. */
static void ended_early(client *self) {
    answer_end(&self->reply);
    if (self->reply.state == COMPLETE) {
        complete(self);
    } else if (self->reused && self->last == 0) {
        load.reconnects++;
        disconnect(self);
        self->unsent = load.request.length;
        if (!open_connection(self)) fail(self, &load.refused);
    } else fail(self, self->last == 0 ? &load.refused : &load.cut);
}

static void time_bytes(client *self, unsigned events_before) {
    bool in_body = self->reply.body > 0, stream = load.stream;
    if (!in_body) return;
    uint64_t now = now_ns();
    if (!self->spoke && (!stream || self->reply.events > 1)) { /* a stream's first event carries the role alone */
        self->spoke = true;
        samples_add(&load.first, now - self->sent);
    } else if (stream && self->last > 0 && self->reply.events > events_before) samples_add(&load.between, now - self->last);
    self->last = now;
}

static void read_some(client *self, size_t most) {
    static char bytes[READ_SIZE];
    ssize_t got = recv(self->fd, bytes, most < READ_SIZE ? most : READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        if (self->busy) ended_early(self);
        else disconnect(self);
        return;
    }
    unsigned events = self->reply.events;
    answer_feed(&self->reply, bytes, (size_t)got);
    time_bytes(self, events);
    load.bytes += (uint64_t)got;
    load.events += self->reply.events - events;
    if (load.drop && self->busy) hang_up(self);
    else if (self->reply.state == BAD) fail(self, &load.cut);
    else if (self->reply.state == COMPLETE) complete(self);
}

static void react(const struct epoll_event *event) {
    client *self = event->data.ptr;
    if ((event->events & EPOLLOUT) && self->unsent > 0) {
        send_request(self);
        if (!self->busy || self->unsent > 0) return;
        watch(self, EPOLL_CTL_MOD, false);
    }
    if (self->fd >= 0 && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_some(self, READ_SIZE);
}

/* Opens the clients whose time has come; the time until the next one, or until the end. */
static uint64_t open_due(uint64_t now) {
    for (; load.opened < load.connections; load.opened++) {
        uint64_t due = load.begun + load.ramp * (uint64_t)load.opened / (uint64_t)load.connections;
        if (due > now) return due - now;
        if (may_start(now)) begin_request(&load.clients[load.opened]);
    }
    return SECOND / 10;
}

static void read_slowly(void) {
    static uint64_t next = 0;
    if (load.read_rate == 0 || now_ns() < next) return;
    next = now_ns() + TICK_NS;
    size_t share = (size_t)((uint64_t)load.read_rate * TICK_NS / SECOND);
    for (long i = 0; i < load.opened; i++)
        if (load.clients[i].fd >= 0 && load.clients[i].unsent == 0) read_some(&load.clients[i], share);
}

static bool is_over(uint64_t now) {
    if (load.read_rate > 0) return now >= load.deadline;
    bool nothing_to_start = load.opened == load.connections || !may_start(now);
    return (load.busy == 0 && nothing_to_start) || now > load.deadline + GRACE_NS;
}

static void run(void) {
    for (uint64_t now = now_ns(); !is_over(now); now = now_ns()) {
        uint64_t wait = open_due(now);
        if (load.read_rate > 0 && wait > TICK_NS) wait = TICK_NS;
        struct timespec timeout = {.tv_nsec = (long)wait};
        struct epoll_event events[EVENTS_AT_ONCE];
        int count = epoll_pwait2(load.epoll, events, EVENTS_AT_ONCE, &timeout, NULL);
        for (int i = 0; i < count; i++) react(&events[i]);
        read_slowly();
    }
}

static void report(void) {
    double seconds = (double)((load.ended > load.begun ? load.ended : now_ns()) - load.begun) / 1e9;
    printf("{\"seconds\":%.4f,\"requests\":%lu,\"unfinished\":%ld,\"errors\":%lu,\"refused\":%lu,\"bad_status\":%lu,"
           "\"cut\":%lu,\"dropped\":%lu,\"reconnects\":%lu,\"bytes\":%lu,\"events\":%lu,\"rate\":%.2f,",
           seconds, load.completed, load.busy, load.errors, load.refused, load.bad_status, load.cut, load.dropped,
           load.reconnects, load.bytes, load.events, (double)load.completed / seconds);
    samples_print(&load.latency, "latency_ms");
    printf(",");
    samples_print(&load.first, "ttft_ms");
    printf(",");
    samples_print(&load.between, "itl_ms");
    printf("}\n");
}

static buffer request_of(int argc, char **argv) {
    buffer body = {0}, whole = {0};
    buffer_printf(&body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":\"You are helpful.\"},"
                         "{\"role\":\"user\",\"content\":\"", text_option(argc, argv, "--model", "mock"));
    size_t size = (size_t)option(argc, argv, "--body-bytes", 1200);
    while (body.length + 120 < size) buffer_printf(&body, "Tell me about engines, please. ");
    buffer_printf(&body, "\"}],\"temperature\":0.7,\"max_tokens\":%ld,\"seed\":%ld%s}",
                  option(argc, argv, "--events", 100), option(argc, argv, "--gap-ms", 20),
                  load.stream ? ",\"stream\":true" : "");
    buffer_printf(&whole, "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%u\r\naccept: */*\r\n"
                          "user-agent: load\r\ncontent-type: application/json\r\nauthorization: Bearer %s\r\n"
                          "%scontent-length: %zu\r\n\r\n",
                  load.port, text_option(argc, argv, "--key", "none"), load.fresh ? "connection: close\r\n" : "",
                  body.length);
    buffer_append(&whole, body.bytes, body.length);
    buffer_free(&body);
    return whole;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    load.port = (uint16_t)option(argc, argv, "--port", 9000);
    load.connections = option(argc, argv, "--connections", 64);
    load.limit = option(argc, argv, "--requests", 0);
    load.read_rate = option(argc, argv, "--read-rate", 0);
    load.stream = flag(argc, argv, "--stream");
    load.fresh = flag(argc, argv, "--fresh");
    load.drop = flag(argc, argv, "--drop");
    load.ramp = (uint64_t)option(argc, argv, "--ramp-ms", 0) * 1000000u;
    load.request = request_of(argc, argv);
    load.clients = calloc((size_t)load.connections, sizeof *load.clients);
    for (int i = 0; i < load.connections; i++) load.clients[i] = (client){.fd = -1, .number = i};
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.begun = now_ns();
    load.deadline = load.begun + (uint64_t)option(argc, argv, "--ms", 2000) * 1000000u;
    run();
    report();
    return 0;
}
