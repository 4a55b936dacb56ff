#define _GNU_SOURCE
#include "dialect.h"

#include <stdlib.h>
#include <string.h>

static const char SENTENCE[] = "The quick brown fox jumps over the lazy dog, and the engine house hums along all day. ";

static buffer response(const char *status, const buffer *body) {
    buffer whole = {0};
    buffer_printf(&whole, "HTTP/1.1 %s\r\ncontent-type: application/json\r\nserver: mock\r\ncontent-length: %zu\r\n\r\n",
                  status, body->length);
    buffer_append(&whole, body->bytes, body->length);
    return whole;
}

static buffer chat_completion(const char *model) {
    buffer body = {0};
    buffer_printf(&body, "{\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":\"chat.completion\","
                         "\"created\":1760000000,\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                         "\"assistant\",\"content\":\"", model);
    while (body.length < 640) buffer_append(&body, SENTENCE, sizeof SENTENCE - 1);
    buffer_printf(&body, "\",\"refusal\":null,\"tool_calls\":[]},\"logprobs\":null,\"finish_reason\":\"stop\","
                         "\"stop_reason\":null}],\"usage\":{\"prompt_tokens\":256,\"total_tokens\":356,"
                         "\"completion_tokens\":100,\"prompt_tokens_details\":null},\"prompt_logprobs\":null}");
    return body;
}

static buffer chunk(const buffer *event) {
    buffer framed = {0};
    buffer_printf(&framed, "%zx\r\n", event->length);
    buffer_append(&framed, event->bytes, event->length);
    buffer_append(&framed, "\r\n", 2);
    return framed;
}

static buffer event(const char *model, const char *choices, const char *usage) {
    buffer text = {0};
    buffer_printf(&text, "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":"
                         "\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"%s\",\"choices\":[%s]%s}\n\n",
                  model, choices, usage);
    return chunk(&text);
}

dialect dialect_of(const char *model) {
    dialect built = {0};
    buffer chat = chat_completion(model);
    built.json = response("200 OK", &chat);
    buffer text = {0};
    buffer_printf(&text, "{\"id\":\"cmpl-0\",\"object\":\"text_completion\",\"created\":1760000000,\"model\":\"%s\","
                         "\"choices\":[{\"index\":0,\"text\":\" a\",\"logprobs\":null,\"finish_reason\":\"length\"}],"
                         "\"usage\":{\"prompt_tokens\":1,\"total_tokens\":2,\"completion_tokens\":1}}", model);
    built.completion = response("200 OK", &text);
    buffer models = {0};
    buffer_printf(&models, "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\",\"created\":1760000000,"
                           "\"owned_by\":\"vllm\",\"root\":\"%s\",\"max_model_len\":32768}]}", model, model);
    built.models = response("200 OK", &models);
    buffer ok = {0};
    buffer_printf(&ok, "{\"status\":\"ok\"}");
    built.ok = response("200 OK", &ok);
    buffer missing = {0};
    buffer_printf(&missing, "{\"detail\":\"Not Found\"}");
    built.not_found = response("404 Not Found", &missing);
    buffer_printf(&built.stream_head, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                                      "server: mock\r\ntransfer-encoding: chunked\r\n\r\n");
    built.role = event(model, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                              "\"finish_reason\":null}", "");
    built.content = event(model, "{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,"
                                 "\"finish_reason\":null}", "");
    built.finish = event(model, "{\"index\":0,\"delta\":{\"content\":\"\"},\"logprobs\":null,"
                                "\"finish_reason\":\"stop\",\"stop_reason\":null}", "");
    built.usage = event(model, "", ",\"usage\":{\"prompt_tokens\":256,\"total_tokens\":356,\"completion_tokens\":100}");
    buffer_printf(&built.done, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    return built;
}

/* The text after `"name":` and white space, or NULL. A router may have serialised the body anew. */
static const char *field(const char *body, size_t length, const char *name) {
    const char *found = memmem(body, length, name, strlen(name));
    if (found == NULL) return NULL;
    const char *value = found + strlen(name);
    while (value < body + length && *value == ' ') value++;
    return value < body + length ? value : NULL;
}

script script_of(const char *body, size_t length) {
    const char *stream = field(body, length, "\"stream\":"), *usage = field(body, length, "\"include_usage\":");
    const char *events = field(body, length, "\"max_tokens\":"), *gap = field(body, length, "\"seed\":");
    return (script){
        .stream = stream != NULL && *stream == 't',
        .usage = usage != NULL && *usage == 't',
        .events = events == NULL ? 100 : strtol(events, NULL, 10),
        .gap_ms = gap == NULL ? 20 : strtol(gap, NULL, 10),
    };
}
