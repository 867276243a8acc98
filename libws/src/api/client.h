/* client.h - what a client's socket has beside its connection: where to, and
 * how far the way there has come.
 *
 *   client.c        making one, its options, its end
 *   client_reach.c  name, address, proxy, TLS: the way to a transport
 *   client_retry.c  redirects and reconnecting
 *
 * The steps of an attempt, each of which may be left out:
 *
 *   START -> LOOKUP -> DIAL -> PROXY_TLS -> TUNNEL -> (transport attached)
 *
 * Invariant: outside of its step nothing of it exists. */
#ifndef WS__CLIENT_H
#define WS__CLIENT_H

#include "api/socket.h"
#include "base/hidden.h"
#include "io/dial.h"
#include "proto/tunnel.h"

WS__HIDDEN_BEGIN

typedef enum ws__step {
  WS__STEP_START,     /* An attempt is to begin. */
  WS__STEP_TARGET,    /* The target's name is looked up, for a SOCKS5 proxy. */
  WS__STEP_LOOKUP,    /* The name to connect to is looked up. */
  WS__STEP_DIAL,      /* Its addresses are tried. */
  WS__STEP_PROXY_TLS, /* TLS to the proxy shakes hands. */
  WS__STEP_TUNNEL,    /* The proxy connects to the target. */
  WS__STEP_DONE,      /* The socket has its transport. */
  WS__STEP_WAIT       /* For the next attempt to begin. */
} ws__step;

/* The options that are kept, in one block with all they point to. */
typedef struct ws__client_options {
  ws_socket_options is;
  size_t block_size;
} ws__client_options;

/* A descriptor of a dial, watched. */
typedef struct ws__attempt {
  ws__source source;
  ws_socket *socket;
} ws__attempt;

struct ws__client {
  ws__endpoint endpoint;
  ws_socket *socket;
  ws_conn_config *config;
  ws_conn_config *wait_config; /* Without a deadline for the handshake. */
  ws__client_options *options;
  ws_url *url;  /* The one that is reached for. */
  ws_url *home; /* The application's, if redirects led to another; or NULL. */

  ws__step step;
  ws__proxy *proxy;
  ws__lookup *targets;    /* Where a SOCKS5 proxy may connect to, or NULL; */
  const ws__addr *target; /* where it is to now; */
  size_t targets_left;    /* and how many addresses follow. */
  ws__lookup *lookup;
  ws__dial *dial;
  ws__attempt attempts[WS__DIAL_RACES];
  ws__tunnel tunnel;
  ws__tls *proxy_tls;
  int fd; /* Connected, but not the socket's yet; or -1. */

  /* Headers that were set since; they take the place of those in `options`. */
  ws_header *headers;
  size_t header_count;
  size_t headers_size;

  /* Redirects. */
  uint32_t redirects;
  bool is_elsewhere;   /* Another origin: credentials stay behind. */
  char *authorization; /* Of the URL that redirected within its origin. */

  /* Reconnecting. */
  uint32_t failures; /* In a row. */
  uint64_t retry_at;
  ws_cause cause; /* Of the loss. */
  char cause_message[WS__DETAIL_SIZE];
  char close_reason[WS_MAX_CLOSE_REASON + 1];
};

/* -- client.c -------------------------------------------------------------- */

/* Puts the request of the current URL into a fresh connection. Returns as
 * ws_conn_connect(). */
int ws__client_request(ws__client *client, const char **out_reason);

/* -- client_reach.c -------------------------------------------------------- */

/* ws__endpoint_ops.reach. */
void ws__client_reach(ws_socket *socket, unsigned ready);

/* Ends whatever step is under way. */
void ws__client_let_go(ws__client *client);

/* Whether browsers block a port (Fetch standard, "port blocking"). */
bool ws__is_bad_port(uint16_t port);

/* -- client_retry.c -------------------------------------------------------- */

/* ws__endpoint_ops.filter. */
bool ws__client_filter(ws_socket *socket, ws_event *event);

/* Forgets the credentials that a redirect takes along. */
void ws__client_forget_authorization(ws__client *client);

/* The wait is over: begins the next attempt. */
void ws__client_retry(ws__client *client);

WS__HIDDEN_END

#endif
