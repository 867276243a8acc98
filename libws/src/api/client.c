/* client.c - a client from its options to its end: everything that can be wrong
 * with them is found before there is a socket. */
#include "api/client.h"
#include "api/pack.h"
#include "io/net.h"
#include "proto/handshake.h"

#include <string.h>

#define RECONNECT_MIN 500U
#define RECONNECT_MAX 30000U

/* -- Options --------------------------------------------------------------- */

void ws_socket_options_init(ws_socket_options *options) {
  *options = (ws_socket_options){.size = sizeof(*options), .fd = -1};
}

static uint32_t reconnect_max(const ws_socket_options *options) {
  return options->reconnect_max != 0 ? options->reconnect_max : RECONNECT_MAX;
}

/* Copies what options point to into a pack. */
static ws_socket_options pack_options(ws__pack *pack,
                                      const ws_socket_options *o) {
  ws_socket_options copy = *o;
  copy.protocols = ws__pack_strings(pack, o->protocols, o->protocol_count);
  copy.headers = ws__pack_headers(pack, o->headers, o->header_count);
  copy.origin = ws__pack_string(pack, o->origin);
  copy.server_name = ws__pack_string(pack, o->server_name);
  copy.proxy = ws__pack_string(pack, o->proxy);
  copy.proxy_headers =
      ws__pack_headers(pack, o->proxy_headers, o->proxy_header_count);
  copy.conn = NULL;
  return copy;
}

static ws__client_options *copy_options(const ws_allocator *allocator,
                                        const ws_socket_options *options) {
  ws__pack pack = {.used = sizeof(ws__client_options)};
  (void)pack_options(&pack, options);
  ws__client_options *copy = ws__alloc(allocator, pack.used);
  if (copy == NULL) return NULL;
  copy->block_size = pack.used;

  pack = (ws__pack){.block = (uint8_t *)copy, .used = sizeof(*copy)};
  copy->is = pack_options(&pack, options);
  if (copy->is.reconnect_min == 0) copy->is.reconnect_min = RECONNECT_MIN;
  copy->is.reconnect_max = reconnect_max(options);
  if (copy->is.tls != NULL) ws__tls_context_retain(copy->is.tls);
  if (copy->is.proxy_tls != NULL) ws__tls_context_retain(copy->is.proxy_tls);
  return copy;
}

static void free_options(const ws_allocator *allocator,
                         ws__client_options *options) {
  if (options == NULL) return;
  ws__tls_context_release(options->is.tls);
  ws__tls_context_release(options->is.proxy_tls);
  ws__free(allocator, options, options->block_size);
}

static int check_proxy(const ws_socket_options *options,
                       const ws_allocator *allocator, const char **reason) {
  int err = ws__handshake_check_headers(options->proxy_headers,
                                        options->proxy_header_count, reason);
  if (err != 0 || options->proxy == NULL || options->proxy[0] == '\0') {
    return err;
  }
  ws__proxy *proxy;
  err = ws__proxy_parse(options->proxy, strlen(options->proxy), WS__PROXY_HTTP,
                        allocator, &proxy, reason);
  if (err == 0) ws__proxy_free(proxy);
  return err == WS_ERR_SYNTAX ? WS_ERR_INVALID_ARGUMENT : err;
}

/* What does not need the URL. */
static int check_options(const ws_socket_options *options,
                         const ws_allocator *allocator, const char **reason) {
  *reason = NULL;
  if (options->size != sizeof(*options)) {
    *reason = "size: not set by ws_socket_options_init()";
  } else if (options->tls != NULL && options->tls->is_server) {
    *reason = "tls: the context is a server's";
  } else if (options->proxy_tls != NULL && options->proxy_tls->is_server) {
    *reason = "proxy_tls: the context is a server's";
  } else if (options->reconnect && options->fd >= 0) {
    *reason = "reconnect: not possible with fd";
  } else if (options->reconnect_min > reconnect_max(options)) {
    *reason = "reconnect_min: greater than reconnect_max";
  }
  if (*reason != NULL) return WS_ERR_INVALID_ARGUMENT;
  return check_proxy(options, allocator, reason);
}

static int check_fd(int fd, const char **reason) {
  bool is_listener = false;
  if (ws__net_adopt(fd, &is_listener) == 0 && !is_listener) return 0;
  *reason = "fd: not a connected stream socket";
  return WS_ERR_INVALID_ARGUMENT;
}

/* -- Making ---------------------------------------------------------------- */

static void leave(ws_socket *socket) {
  ws__client *client = ws__socket_client(socket);
  ws__client_let_go(client);
  client->endpoint.loop = NULL;
}

static void free_client(ws__client *client, const ws_allocator *allocator) {
  ws_url_free(client->url);
  ws_url_free(client->home);
  free_options(allocator, client->options);
  ws__free(allocator, client->headers, client->headers_size);
  ws__client_forget_authorization(client);
  ws_conn_config_free(client->wait_config);
  ws_conn_config_free(client->config);
  ws__free(allocator, client, sizeof(*client));
}

static void forget(ws_socket *socket) {
  free_client(ws__socket_client(socket), ws__conn_allocator(&socket->conn));
}

static const ws__endpoint_ops client_ops = {
    .reach = ws__client_reach,
    .filter = ws__client_filter,
    .leave = leave,
    .forget = forget,
};

static int make_configs(ws__client *client, const ws_conn_options *given,
                        const ws_allocator *allocator, const char **reason) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  if (given != NULL &&
      !ws__copy_sized(&options, options.size, given, given->size)) {
    *reason = "conn: size not set by ws_conn_options_init()";
    return WS_ERR_INVALID_ARGUMENT;
  }
  options.allocator = *allocator;
  options.random = ws_random;
  const int err =
      ws_conn_config_new(WS_ROLE_CLIENT, &options, &client->config, reason);
  if (err != 0 || !client->options->is.reconnect) return err;
  options.handshake_timeout = WS_NEVER;
  return ws_conn_config_new(WS_ROLE_CLIENT, &options, &client->wait_config,
                            reason);
}

/* The further headers, less credentials that another origin must not get. */
static size_t request_headers(const ws__client *client, ws_header *out) {
  const ws_socket_options *o = &client->options->is;
  const bool is_newer = client->headers != NULL;
  const ws_header *headers = is_newer ? client->headers : o->headers;
  const size_t count = is_newer ? client->header_count : o->header_count;
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    const bool is_secret =
        ws_header_find(&headers[i], 1, "Authorization") != NULL ||
        ws_header_find(&headers[i], 1, "Cookie") != NULL;
    if (!is_secret || !client->is_elsewhere) out[used++] = headers[i];
  }
  if (client->authorization != NULL && client->url->authorization == NULL) {
    static const char name[] = "Authorization";
    out[used++] = (ws_header){name, sizeof(name) - 1, client->authorization,
                              strlen(client->authorization)};
  }
  return used;
}

int ws__client_request(ws__client *client, const char **out_reason) {
  const ws_socket_options *o = &client->options->is;
  const ws_allocator *allocator = &client->endpoint.loop->allocator;
  const size_t count =
      (client->headers != NULL ? client->header_count : o->header_count) + 1;
  ws_header *headers = ws__alloc(allocator, count * sizeof(*headers));
  if (headers == NULL) return WS_ERR_NO_MEMORY;

  ws_conn_request request;
  ws_conn_request_init(&request);
  request.url = client->url;
  request.protocols = o->protocols;
  request.protocol_count = o->protocol_count;
  request.headers = headers;
  request.header_count = request_headers(client, headers);
  request.origin = o->origin;
  const int err = ws_conn_connect(&client->socket->conn, &request, out_reason);
  ws__free(allocator, headers, count * sizeof(*headers));
  return err;
}

/* Makes the socket around a client that has its URL, options and
 * configurations. */
static int make_socket(ws__client *client, const char **reason) {
  ws_socket *socket;
  int err =
      ws__socket_new(&client->endpoint, client->config, -1, NULL, &socket);
  if (err != 0) return err;
  ws__extra *extra = ws__socket_extra(socket);
  if (extra == NULL) {
    err = WS_ERR_NO_MEMORY;
  } else {
    extra->client = client;
    client->socket = socket;
    err = ws__client_request(client, reason);
  }
  if (err != 0) {
    ws__socket_discard(socket);
    client->socket = NULL;
  }
  return err;
}

static int build(ws__client *client, const char *url, size_t url_len,
                 const ws_socket_options *options, const char **reason) {
  const ws_allocator *allocator = &client->endpoint.loop->allocator;
  client->options = copy_options(allocator, options);
  if (client->options == NULL) return WS_ERR_NO_MEMORY;
  int err = make_configs(client, options->conn, allocator, reason);
  if (err != 0) return err;
  /* The configuration's allocator lives as long as the socket. */
  err = ws_url_parse(url, url_len, ws__config_allocator(client->config),
                     &client->url, reason);
  return err != 0 ? err : make_socket(client, reason);
}

int ws_socket_open(ws_loop *loop, const char *url, size_t url_len,
                   const ws_socket_options *options, ws_socket **out_socket,
                   ws_error *out_error) {
  ws_socket_options defaults;
  ws_socket_options_init(&defaults);
  if (options == NULL) options = &defaults;
  const char *reason;
  int err = check_options(options, &loop->allocator, &reason);
  if (err == 0 && options->fd >= 0) err = check_fd(options->fd, &reason);
  if (err != 0) {
    if (options->size == sizeof(*options)) ws__net_close(options->fd);
    return ws__report(out_error, err, reason);
  }
  ws__client *client = ws__alloc_zero(&loop->allocator, sizeof(*client));
  if (client == NULL) {
    ws__net_close(options->fd);
    return ws__report(out_error, WS_ERR_NO_MEMORY, NULL);
  }
  client->endpoint = (ws__endpoint){
      .ops = &client_ops, .loop = loop, .handlers = options->handlers};
  client->fd = options->fd;
  client->cause.message = "";
  ws__loop_refresh(loop);
  err = build(client, url, url_len, options, &reason);
  if (err != 0) {
    ws__net_close(client->fd);
    free_client(client, &loop->allocator);
    return ws__report(out_error, err, reason);
  }
  client->socket->user_data = options->user_data;
  ws__loop_schedule(loop, &client->socket->source);
  *out_socket = client->socket;
  return 0;
}

/* -- Calls for clients ----------------------------------------------------- */

const char *ws_socket_url(const ws_socket *socket) {
  const ws__client *client = ws__socket_client(socket);
  return client != NULL ? client->url->href : "";
}

int ws_socket_set_request_headers(ws_socket *socket, const ws_header *headers,
                                  size_t header_count, ws_error *out_error) {
  ws__client *client = ws__socket_client(socket);
  if (client == NULL) {
    return ws__report(out_error, WS_ERR_INVALID_STATE,
                      "the socket is a server's");
  }
  const char *reason = NULL;
  const int err = ws__handshake_check_headers(headers, header_count, &reason);
  if (err != 0) return ws__report(out_error, err, reason);

  const ws_allocator *allocator = ws__conn_allocator(&socket->conn);
  ws__pack pack = {0};
  (void)ws__pack_headers(&pack, headers, header_count);
  /* Not NULL, also for no headers: they take the place of others. */
  const size_t size = pack.used + 1;
  uint8_t *block = ws__alloc(allocator, size);
  if (block == NULL) return ws__report(out_error, WS_ERR_NO_MEMORY, NULL);

  pack = (ws__pack){.block = block};
  (void)ws__pack_headers(&pack, headers, header_count);
  ws__free(allocator, client->headers, client->headers_size);
  client->headers = (ws_header *)(void *)block;
  client->header_count = header_count;
  client->headers_size = size;
  return 0;
}
