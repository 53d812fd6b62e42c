#pragma once
// A small HTTP server over libmicrohttpd, without its variadic calls, which Swift can't make.
#include <stddef.h>

typedef struct tm_http_server tm_http_server;

// What is answered. `body` is allocated with malloc and freed once it was sent.
typedef struct {
    unsigned int status;
    // A static text, or NULL.
    const char *content_type;
    // The methods that are allowed, for status 405; a static text, or NULL.
    const char *allow;
    char *body;
    size_t length;
} tm_http_answer;

// Called on the server's thread, once a request, when the whole request is there.
typedef void (*tm_http_handler)(void *context, const char *method, const char *path, tm_http_answer *answer);

// Listens at a numeric address. `port` 0 takes a free one.
//
// Returns NULL with `problem` set to a text that lives as long as the thread's next call.
tm_http_server *tm_http_start(
    const char *address, unsigned short port, tm_http_handler handler, void *context, const char **problem);

// The port that it listens at.
unsigned short tm_http_port(const tm_http_server *server);

// Ends the server: no request is answered any more once this has returned.
void tm_http_stop(tm_http_server *server);
