/* client_reach.c - the way from a URL to a transport, one step at a time.
 *
 * Each step either waits, goes on to the next, or fails the connection with a
 * detail that names what could not be reached. Nothing here blocks. */
#include "api/client.h"
#include "io/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More than any proxy's answer needs that keeps to the limits of a head. */
#define TUNNEL_READ 4096

static ws_loop *loop_of(const ws__client *client) {
  return client->endpoint.loop;
}

static const ws_socket_options *options_of(const ws__client *client) {
  return &client->options->is;
}

/* `system_error` is the errno that was the cause, or 0. */
static void fail(ws__client *client, int err, int system_error,
                 const char *detail) {
  ws__client_let_go(client);
  client->step = WS__STEP_DONE;
  ws__socket_fail(client->socket, err, system_error, detail);
}

/* A descriptor cannot be waited for: errno says why. */
static void cannot_watch(ws__client *client) {
  const int error = errno;
  char text[WS__DETAIL_SIZE];
  fail(client, WS_ERR_SYSTEM, error, ws__errno_text(error, text));
}

/* -- Letting go ------------------------------------------------------------ */

static void stop_watching(ws__client *client, ws__attempt *attempt) {
  (void)ws__loop_watch(loop_of(client), &attempt->source, 0);
  attempt->source.node.fd = -1;
}

static void end_dial(ws__client *client) {
  if (client->dial == NULL) return;
  for (size_t i = 0; i < WS__DIAL_RACES; i++)
    stop_watching(client, &client->attempts[i]);
  ws__dial_free(client->dial);
  client->dial = NULL;
}

static void stop_waiting_for_proxy(ws__client *client) {
  ws__source *source = &client->socket->source;
  if (source->node.fd < 0 || client->fd < 0) return;
  (void)ws__loop_watch(loop_of(client), source, 0);
  source->node.fd = -1;
}

/* Ends the connection, which is one to a proxy. */
static void end_connection(ws__client *client) {
  stop_waiting_for_proxy(client);
  ws__tunnel_free(&client->tunnel);
  client->tunnel = (ws__tunnel){0};
  ws__stream_close(client->fd, client->proxy_tls);
  client->proxy_tls = NULL;
  client->fd = -1;
}

void ws__client_let_go(ws__client *client) {
  ws__lookup_free(client->targets);
  client->targets = NULL;
  client->targets_left = 0;
  ws__lookup_free(client->lookup);
  client->lookup = NULL;
  end_dial(client);
  end_connection(client);
  ws__proxy_free(client->proxy);
  client->proxy = NULL;
}

/* -- The last step: the transport ------------------------------------------ */

/* The context to use: the given one, or the loop's, which trusts what the
 * system trusts. */
static int tls_context(ws__client *client, ws_tls_context *given,
                       ws_tls_context **out_context, char *detail) {
  ws_loop *loop = loop_of(client);
  if (given == NULL && loop->default_tls == NULL) {
    const ws_tls_client_options options = {0};
    const int err = ws__tls_client_context(&ws__malloc, &options,
                                           &loop->default_tls, detail);
    if (err != 0) return err;
  }
  *out_context = given != NULL ? given : loop->default_tls;
  return 0;
}

static int make_tls(ws__client *client, ws_tls_context *given, const char *host,
                    uint16_t port, ws__tls **out_tls, char *detail) {
  ws_tls_context *context;
  const int err = tls_context(client, given, &context, detail);
  if (err != 0) return err;
  return ws__tls_connect(context, ws__config_allocator(client->config),
                         client->fd, host, port, out_tls, detail);
}

/* The bytes of the target flow at `fd`: hands it to the socket. */
static void connected(ws__client *client) {
  const ws_url *url = client->url;
  ws__tls *tls = client->proxy_tls;
  if (url->is_secure) {
    const char *name = options_of(client)->server_name;
    char detail[WS__DETAIL_SIZE] = "";
    const int err =
        make_tls(client, options_of(client)->tls,
                 name != NULL ? name : url->host, url->port, &tls, detail);
    if (err != 0) {
      fail(client, err, 0, detail);
      return;
    }
    if (client->proxy_tls != NULL) {
      ws__tls_flow_through(tls, client->proxy_tls);
    }
  }
  const int fd = client->fd;
  stop_waiting_for_proxy(client);
  client->fd = -1;
  client->proxy_tls = NULL;
  ws__client_let_go(client);
  client->step = WS__STEP_DONE;
  ws__socket_attach(client->socket, fd, tls);
}

/* -- Through a proxy ------------------------------------------------------- */

static void proxy_failed(ws__client *client, int err, int system_error,
                         const char *why) {
  char detail[WS__DETAIL_SIZE];
  ws__detail_set(detail, "proxy %s: %s", client->proxy->host, why);
  fail(client, err, system_error, detail);
}

/* The exchange with the proxy has failed: errno, or TLS, says why. */
static void proxy_transport_failed(ws__client *client) {
  const int error = errno;
  const ws__tls *tls = client->proxy_tls;
  char text[WS__DETAIL_SIZE];
  if (tls != NULL && ws__tls_error(tls) != 0) {
    proxy_failed(client, ws__tls_error(tls), ws__tls_system_error(tls),
                 ws__tls_detail(tls));
  } else {
    proxy_failed(client, WS_ERR_PROXY, error, ws__errno_text(error, text));
  }
}

/* Says what an exchange with the proxy waits for. Returns whether it can go on
 * at once. */
static bool is_ready(ws__client *client, ws__stream_status status) {
  unsigned interest = 0;
  switch (status) {
  case WS__STREAM_OK: return true;
  case WS__STREAM_WANT_READ: interest = WS__POLLER_READ; break;
  case WS__STREAM_WANT_WRITE: interest = WS__POLLER_WRITE; break;
  case WS__STREAM_EOF:
    proxy_failed(client, WS_ERR_PROXY, 0, "it ended the connection");
    return false;
  case WS__STREAM_FAILED: proxy_transport_failed(client); return false;
  }
  if (ws__loop_watch(loop_of(client), &client->socket->source, interest) != 0) {
    cannot_watch(client);
  }
  return false;
}

/* Sends what is to be sent now. Returns whether all has left. */
static bool tunnel_write(ws__client *client) {
  size_t len;
  const uint8_t *data;
  while ((data = ws__tunnel_output(&client->tunnel, &len)), len > 0) {
    struct iovec piece = ws__net_piece(data, len);
    size_t written;
    const ws__stream_status status =
        ws__stream_write(client->fd, client->proxy_tls, &piece, 1, &written);
    ws__tunnel_consume(&client->tunnel, written);
    if (!is_ready(client, status)) return false;
  }
  return true;
}

static void look_up_next_hop(ws__client *client);

/* Asks the proxy for the next address of the target, if there is one, over
 * another connection. */
static bool try_next_target(ws__client *client) {
  if (!client->tunnel.is_out_of_reach || client->targets_left == 0) {
    return false;
  }
  client->targets_left--;
  client->target++;
  end_connection(client);
  look_up_next_hop(client);
  return true;
}

static void tunnel_refused(ws__client *client, int err, const char *reason) {
  const ws__http_head *answer = &client->tunnel.answer;
  if (try_next_target(client)) return;
  if (answer->status == 0) {
    proxy_failed(client, err, 0, reason != NULL ? reason : ws_strerror(err));
    return;
  }
  char text[WS__DETAIL_SIZE];
  ws__detail_set(text, "it answered %u %s", (unsigned)answer->status,
                 answer->reason);
  proxy_failed(client, err, 0, text);
}

static void tunnel_step(ws__client *client) {
  bool is_done = false;
  while (!is_done) {
    if (!tunnel_write(client)) return;
    uint8_t answer[TUNNEL_READ];
    size_t len;
    const ws__stream_status status = ws__stream_read(
        client->fd, client->proxy_tls, answer, sizeof(answer), &len);
    if (!is_ready(client, status)) return;

    const char *reason = NULL;
    const int err =
        ws__tunnel_feed(&client->tunnel, answer, len, &is_done, &reason);
    if (err != 0) {
      tunnel_refused(client, err, reason);
      return;
    }
  }
  connected(client);
}

static void begin_tunnel(ws__client *client) {
  const ws_socket_options *options = options_of(client);
  const ws__proxy *proxy = client->proxy;
  char address[WS__ADDR_TEXT_SIZE];
  const char *host = client->targets != NULL
                         ? ws__addr_host(client->target, address)
                         : client->url->host;
  const char *reason = NULL;
  const int err = ws__tunnel_init(
      &client->tunnel, proxy, host, client->url->port, options->proxy_headers,
      options->proxy_header_count, &client->config->http_limits,
      ws__config_allocator(client->config), &reason);
  if (err != 0) {
    proxy_failed(client, err, 0, reason != NULL ? reason : ws_strerror(err));
    return;
  }
  client->step = WS__STEP_TUNNEL;
  tunnel_step(client);
}

static void proxy_tls_step(ws__client *client) {
  const ws__stream_status status =
      ws__stream_of_tls(ws__tls_handshake(client->proxy_tls));
  if (is_ready(client, status)) begin_tunnel(client);
}

static void reached_proxy(ws__client *client) {
  client->socket->source.node = (ws__poller_node){.fd = client->fd};
  if (client->proxy->kind != WS__PROXY_HTTPS) {
    begin_tunnel(client);
    return;
  }
  char detail[WS__DETAIL_SIZE] = "";
  const int err =
      make_tls(client, options_of(client)->proxy_tls, client->proxy->host,
               client->proxy->port, &client->proxy_tls, detail);
  if (err != 0) {
    proxy_failed(client, err, 0, detail);
    return;
  }
  client->step = WS__STEP_PROXY_TLS;
  proxy_tls_step(client);
}

/* -- Dialing --------------------------------------------------------------- */

/* One of the descriptors that are dialed is ready. */
static void attempt_ready(ws__source *source, unsigned ready) {
  (void)ready;
  ws__attempt *attempt = (ws__attempt *)source;
  ws__client *client = ws__socket_client(attempt->socket);
  ws_loop *loop = loop_of(client);
  const int fd = source->node.fd;
  stop_watching(client, attempt);
  ws__dial_on_ready(client->dial, fd, loop->now);
  ws__loop_schedule(loop, &attempt->socket->source);
}

static bool attempt_has_no_events(ws__source *source, ws_event *out_event) {
  (void)source, (void)out_event;
  return false;
}

static const ws__source_ops attempt_ops = {.begin = attempt_ready,
                                           .next = attempt_has_no_events};

static ws__attempt *find_attempt(ws__client *client, int fd) {
  for (size_t i = 0; i < WS__DIAL_RACES; i++) {
    if (client->attempts[i].source.node.fd == fd) return &client->attempts[i];
  }
  return NULL;
}

/* Watches the descriptors that are not watched yet. Returns 0, or as
 * ws__loop_watch(). */
static int watch_attempts(ws__client *client) {
  int fds[WS__DIAL_RACES];
  const size_t count = ws__dial_fds(client->dial, fds);
  for (size_t i = 0; i < count; i++) {
    if (find_attempt(client, fds[i]) != NULL) continue;
    ws__attempt *attempt = find_attempt(client, -1);
    attempt->source = (ws__source){.ops = &attempt_ops, .node = {.fd = fds[i]}};
    attempt->socket = client->socket;
    const int err =
        ws__loop_watch(loop_of(client), &attempt->source, WS__POLLER_WRITE);
    if (err != 0) return err;
  }
  return 0;
}

static void dial_step(ws__client *client) {
  ws_loop *loop = loop_of(client);
  char detail[WS__DETAIL_SIZE];
  ws__addr addr;
  ws__dial_tick(client->dial, loop->now);
  const int result = ws__dial_result(client->dial, &client->fd, &addr, detail);
  if (result == 0) {
    end_dial(client);
    if (client->proxy != NULL) {
      reached_proxy(client);
    } else {
      connected(client);
    }
  } else if (result != WS__DIAL_PENDING) {
    fail(client, result, ws__dial_system_error(client->dial), detail);
  } else if (watch_attempts(client) != 0) {
    cannot_watch(client);
  } else {
    ws__loop_set_deadline_lazily(loop, &client->socket->source,
                                 ws__dial_deadline(client->dial));
  }
}

static void begin_dial(ws__client *client, const ws__addr *addrs,
                       size_t count) {
  ws_loop *loop = loop_of(client);
  for (size_t i = 0; i < WS__DIAL_RACES; i++)
    client->attempts[i].source.node.fd = -1;
  if (ws__dial_new(&loop->allocator, addrs, count, loop->now, &client->dial) !=
      0) {
    fail(client, WS_ERR_NO_MEMORY, 0, NULL);
    return;
  }
  client->step = WS__STEP_DIAL;
  dial_step(client);
}

static void dial_unix(ws__client *client) {
  ws__addr addr;
  const int error = ws__addr_from_path(&addr, client->url->unix_path);
  if (error == 0) {
    begin_dial(client, &addr, 1);
    return;
  }
  char text[WS__DETAIL_SIZE];
  fail(client, WS_ERR_CONNECT, error, ws__errno_text(error, text));
}

/* -- Looking up ------------------------------------------------------------ */

static void begin_lookup(ws__client *client, ws__step step, const char *host,
                         uint16_t port) {
  ws_loop *loop = loop_of(client);
  ws__resolver *resolver = ws__loop_resolver(loop);
  if (resolver == NULL ||
      ws__lookup_start(resolver, host, port, AF_UNSPEC, &client->socket->source,
                       &client->lookup) != 0) {
    fail(client, WS_ERR_NO_MEMORY, 0, NULL);
    return;
  }
  client->step = step;
}

/* Looks up what is to be connected to: the proxy or the target. */
static void look_up_next_hop(ws__client *client) {
  const ws__proxy *proxy = client->proxy;
  begin_lookup(client, WS__STEP_LOOKUP,
               proxy != NULL ? proxy->host : client->url->host,
               proxy != NULL ? proxy->port : client->url->port);
}

static void lookup_step(ws__client *client) {
  ws__lookup *lookup = client->lookup;
  const ws__addr *addrs;
  size_t count;
  char detail[WS__DETAIL_SIZE] = "";
  client->lookup = NULL;
  const int err = ws__lookup_result(lookup, &addrs, &count, detail);
  if (err != 0) {
    fail(client, err, ws__lookup_system_error(lookup), detail);
  } else if (client->step == WS__STEP_TARGET) {
    /* A SOCKS5 proxy gets addresses of the target, not its name. */
    client->targets = lookup;
    client->target = addrs;
    client->targets_left = count - 1;
    look_up_next_hop(client);
    return;
  } else {
    begin_dial(client, addrs, count);
  }
  ws__lookup_free(lookup);
}

/* -- The first step -------------------------------------------------------- */

bool ws__is_bad_port(uint16_t port) {
  static const uint16_t bad[] = {
      0,    1,    7,    9,    11,   13,   15,   17,   19,   20,   21,   22,
      23,   25,   37,   42,   43,   53,   69,   77,   79,   87,   95,   101,
      102,  103,  104,  109,  110,  111,  113,  115,  117,  119,  123,  135,
      137,  139,  143,  161,  179,  389,  427,  465,  512,  513,  514,  515,
      526,  530,  531,  532,  540,  548,  554,  556,  563,  587,  601,  636,
      989,  990,  993,  995,  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
      5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080};
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    if (bad[i] == port) return true;
  }
  return false;
}

/* What the environment says of proxies. Returns false for "none". */
static bool choose_proxy(const ws__client *client, ws__proxy_choice *choice) {
  const ws_url *url = client->url;
  const char *values[WS__PROXY_VARIABLES];
  for (size_t i = 0; i < WS__PROXY_VARIABLES; i++)
    values[i] = getenv(ws__proxy_variable(i));
  return ws__proxy_choose(values, url->is_secure, url->host, url->port, choice);
}

/* Finds out which proxy to use, if any. Returns 0, or the error it failed with.
 */
static int find_proxy(ws__client *client) {
  ws__proxy_choice choice = {.variable = "proxy",
                             .text = options_of(client)->proxy,
                             .default_kind = WS__PROXY_HTTP};
  if (choice.text == NULL && !choose_proxy(client, &choice)) return 0;
  if (choice.text[0] == '\0') return 0;

  const char *reason = NULL;
  const int err = ws__proxy_parse(
      choice.text, strlen(choice.text), choice.default_kind,
      ws__config_allocator(client->config), &client->proxy, &reason);
  if (err == 0) return 0;
  char detail[WS__DETAIL_SIZE];
  ws__detail_set(detail, "%s: %s", choice.variable,
                 reason != NULL ? reason : ws_strerror(err));
  fail(client, err == WS_ERR_SYNTAX ? WS_ERR_PROXY : err, 0, detail);
  return err;
}

static void start(ws__client *client) {
  const ws_url *url = client->url;
  const bool is_by_host = url->unix_path == NULL && client->fd < 0;
  if (is_by_host && options_of(client)->block_bad_ports &&
      ws__is_bad_port(url->port)) {
    fail(client, WS_ERR_BLOCKED_PORT, 0, NULL);
  } else if (client->fd >= 0) {
    connected(client);
  } else if (url->unix_path != NULL) {
    dial_unix(client);
  } else if (find_proxy(client) != 0) {
    return;
  } else if (client->proxy != NULL && client->proxy->kind == WS__PROXY_SOCKS5) {
    begin_lookup(client, WS__STEP_TARGET, url->host, url->port);
  } else {
    look_up_next_hop(client);
  }
}

void ws__client_reach(ws_socket *socket, unsigned ready) {
  ws__client *client = ws__socket_client(socket);
  switch (client->step) {
  case WS__STEP_START: start(client); break;
  case WS__STEP_TARGET:
  case WS__STEP_LOOKUP:
    if ((ready & WS__READY_LOOKUP) != 0) lookup_step(client);
    break;
  case WS__STEP_DIAL: dial_step(client); break;
  case WS__STEP_PROXY_TLS: proxy_tls_step(client); break;
  case WS__STEP_TUNNEL: tunnel_step(client); break;
  case WS__STEP_DONE: break;
  case WS__STEP_WAIT: ws__client_retry(client); break;
  }
}
