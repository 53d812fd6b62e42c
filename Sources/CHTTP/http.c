#include "http.h"

#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// libmicrohttpd is loaded when the first server is started, not with the program: it brings a TLS library along, which
// is not used here and would make every start a millisecond longer.
static struct {
    __typeof__(MHD_start_daemon) *start_daemon;
    __typeof__(MHD_stop_daemon) *stop_daemon;
    __typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
    __typeof__(MHD_add_response_header) *add_response_header;
    __typeof__(MHD_queue_response) *queue_response;
    __typeof__(MHD_destroy_response) *destroy_response;
} mhd;

static pthread_once_t loaded = PTHREAD_ONCE_INIT;
// Why it could not be loaded; empty if it was.
static char load_problem[256];

static void load(void) {
    // The name of its binary interface: what the header that this is built with declares.
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    const struct {
        const char *name;
        void **place;
    } wanted[] = {
        {"MHD_start_daemon", (void **)&mhd.start_daemon},
        {"MHD_stop_daemon", (void **)&mhd.stop_daemon},
        {"MHD_create_response_from_buffer", (void **)&mhd.create_response_from_buffer},
        {"MHD_add_response_header", (void **)&mhd.add_response_header},
        {"MHD_queue_response", (void **)&mhd.queue_response},
        {"MHD_destroy_response", (void **)&mhd.destroy_response},
    };
    for (size_t i = 0; library != NULL && i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].place = dlsym(library, wanted[i].name);
        if (*wanted[i].place == NULL) library = NULL;
    }
    if (library == NULL) snprintf(load_problem, sizeof load_problem, "libmicrohttpd is needed: %s", dlerror());
}

struct tm_http_server {
    struct MHD_Daemon *daemon;
    tm_http_handler handler;
    void *context;
    unsigned short port;
};

// Marks a request of which the headers were seen.
static int seen;

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_length, void **request) {
    (void)version;
    (void)upload;
    const tm_http_server *server = context;
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_length > 0) {
        // Nothing here takes a body: it is read and thrown away, so that the answer reaches who sent it.
        *upload_length = 0;
        return MHD_YES;
    }
    tm_http_answer given = {.status = 500};
    server->handler(server->context, method, url, &given);
    struct MHD_Response *response =
        mhd.create_response_from_buffer(given.length, given.body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(given.body);
        return MHD_NO;
    }
    if (given.content_type) mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, given.content_type);
    if (given.allow) mhd.add_response_header(response, MHD_HTTP_HEADER_ALLOW, given.allow);
    mhd.add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    mhd.add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result queued = mhd.queue_response(connection, given.status, response);
    mhd.destroy_response(response);
    return queued;
}

// A socket that listens at the address, or -1 with `problem`.
static int listening(const char *address, unsigned short port, const char **problem) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (getaddrinfo(address, service, &hints, &found) != 0) {
        *problem = "it is no numeric address";
        return -1;
    }
    int at = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (at < 0 || setsockopt(at, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(at, found->ai_addr, found->ai_addrlen) != 0 || listen(at, 64) != 0) {
        *problem = strerror(errno);
        if (at >= 0) close(at);
        at = -1;
    }
    freeaddrinfo(found);
    return at;
}

static unsigned short port_of(int socket) {
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (getsockname(socket, (struct sockaddr *)&bound, &length) != 0) return 0;
    if (bound.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
    return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

tm_http_server *tm_http_start(const char *address, unsigned short port, tm_http_handler handler, void *context,
                              const char **problem) {
    pthread_once(&loaded, load);
    if (load_problem[0] != 0) {
        *problem = load_problem;
        return NULL;
    }
    int at = listening(address, port, problem);
    if (at < 0) return NULL;
    tm_http_server *server = malloc(sizeof *server);
    if (server == NULL) {
        close(at);
        *problem = "there is no memory";
        return NULL;
    }
    *server = (tm_http_server){.handler = handler, .context = context, .port = port_of(at)};
    // One thread for all connections: what is served is small, and comes from memory.
    server->daemon = mhd.start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, &answer, server, MHD_OPTION_LISTEN_SOCKET, at,
        MHD_OPTION_CONNECTION_LIMIT, 64u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)16384, MHD_OPTION_END);
    if (server->daemon == NULL) {
        *problem = strerror(errno);
        close(at);
        free(server);
        return NULL;
    }
    return server;
}

unsigned short tm_http_port(const tm_http_server *server) { return server->port; }

void tm_http_stop(tm_http_server *server) {
    mhd.stop_daemon(server->daemon);
    free(server);
}
