/* connect.c - libws connect: lines typed become messages, messages become
 * lines.
 *
 * The loop of the library is one descriptor in poll(), beside the standard
 * input. The input is read only while the connection is open and takes what is
 * sent, so that nothing read is lost. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "encode.h"
#include "input.h"
#include "process.h"
#include "terminal.h"
#include "transcript.h"

#define COMMAND "connect"

/* While more than this waits to be sent no input is read. */
#define MAX_WAITING (UINT64_C(1) << 20)

/* So that any line may follow what waits. */
#define MAX_QUEUE (2 * (MAX_WAITING + INPUT_MAX_LINE))

/* How long the pong that says that all was answered may take. */
#define PATIENCE_MS 5000

#define DEFAULT_PING_MS 20000

/* What that ping carries, to know its pong by. */
static const char last_ping[] = "libws: end of input";

typedef struct connect_settings {
  client_settings client;
  option_list messages; /* --send */
  bool is_one;
  bool is_binary;
  bool is_json;
  bool is_full;
  uint32_t wait; /* After the end of the input; 0: see end_input(). */
} connect_settings;

typedef struct session {
  const connect_settings *settings;
  ws_loop *loop;
  ws_socket *socket;
  ws_timer *timer; /* For the one message, or for the end of the input. */
  input in;
  transcript transcript;
  buffer bytes; /* That hexadecimal input stands for. */
  int interrupts;
  bool has_ended_input; /* And the connection closes when it has answered. */
  bool is_over;
  int exit_code; /* -1: not known yet. The first thing that happens decides. */
} session;

/* -- Options --------------------------------------------------------------- */

#define FIELD(name)  offsetof(connect_settings, name)
#define CLIENT(name) offsetof(connect_settings, client.name)

static const option options[] = {
    {OPTION_HEADING, 0, NULL, 0, NULL, "The request"},
    {OPTION_LIST, 'H', "header", CLIENT(headers), "'NAME: VALUE'",
     "a further header; may be repeated"},
    {OPTION_LIST, 's', "subprotocol", CLIENT(subprotocols), "NAME",
     "offer a subprotocol; may be repeated, the first is preferred"},
    {OPTION_TEXT, 'o', "origin", CLIENT(origin), "ORIGIN", "the Origin header"},
    {OPTION_COUNT, 0, "redirects", CLIENT(redirects), "N",
     "follow up to N redirects (default: none)"},
    {OPTION_HEADING, 0, NULL, 0, NULL, "The way there"},
    {OPTION_TEXT, 0, "ca", CLIENT(ca), "FILE",
     "trust the certificates in this PEM file instead of the system's"},
    {OPTION_TEXT, 0, "cert", CLIENT(certificate), "FILE",
     "show the server this certificate"},
    {OPTION_TEXT, 0, "key", CLIENT(key), "FILE",
     "its key, unless it stands in the same file"},
    {OPTION_FLAG, 'k', "insecure", CLIENT(is_insecure), NULL,
     "take any certificate of any host"},
    {OPTION_TEXT, 0, "proxy", CLIENT(proxy), "URL",
     "through this proxy (http, https, socks5, socks5h) instead of the one the "
     "environment names"},
    {OPTION_FLAG, 0, "no-proxy", CLIENT(without_proxy), NULL,
     "through none, whatever the environment says"},
    {OPTION_SECONDS, 0, "timeout", CLIENT(timeout), "SECONDS",
     "give up if the connection is not open by then (default: 30), or with "
     "--one if there is no message"},
    {OPTION_FLAG, 0, "reconnect", CLIENT(reconnects), NULL,
     "connect again whenever the connection is lost"},
    {OPTION_HEADING, 0, NULL, 0, NULL, "Messages"},
    {OPTION_LIST, 0, "send", FIELD(messages), "TEXT",
     "send this when the connection opens; may be repeated"},
    {OPTION_FLAG, 0, "binary", FIELD(is_binary), NULL,
     "what is sent is hexadecimal, and goes as binary messages"},
    {OPTION_FLAG, '1', "one", FIELD(is_one), NULL,
     "wait for one message, print it, and close"},
    {OPTION_SECONDS, 0, "wait", FIELD(wait), "SECONDS",
     "stay that long after the end of the input, or forever (default: until "
     "the server has answered a ping)"},
    {OPTION_SECONDS, 0, "ping", CLIENT(ping_interval), "SECONDS",
     "ping after that long without a word from the server (default: 20), or 0 "
     "for never"},
    {OPTION_SIZE, 0, "max-message", CLIENT(max_message), "SIZE",
     "longest message taken, such as 64K, or unlimited (default: 16M)"},
    {OPTION_SWITCH, 0, "compression", CLIENT(compression), "on|off",
     "offer permessage-deflate (default: on)"},
    {OPTION_HEADING, 0, NULL, 0, NULL, "What is printed"},
    {OPTION_FLAG, 0, "json", FIELD(is_json), NULL,
     "one JSON object a line for everything that happens"},
    {OPTION_FLAG, 0, "full", FIELD(is_full), NULL,
     "all of every message, however long"},
};

static const command_line usage = {
    .name = COMMAND,
    .argument = "URL",
    .summary = "Opens a WebSocket, sends each line of the input as a text "
               "message, and prints each message that comes.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .epilogue =
        "The URL is ws:, wss:, http:, https: or ws+unix:/path/of/socket:/path. "
        "At the end of the input, or with Ctrl-C, the connection is closed; "
        "Ctrl-C twice ends it at once.\n"
        "\n"
        "Exit status: 0 closed cleanly, 1 not connected or lost, 2 wrong "
        "usage, 3 the server refused, 4 timed out, 5 TLS failed, 130 "
        "interrupted.",
};

/* -- Closing --------------------------------------------------------------- */

static void decide(session *s, int exit_code) {
  if (s->exit_code < 0) s->exit_code = exit_code;
}

static void close_normally(session *s) {
  ws_socket_close(s->socket, WS_CLOSE_NORMAL, NULL, 0);
}

/* Messages that come after close() has been called are not seen any more, as in
 * a browser; so the answers to the last lines have to be waited for. A server
 * that answers in order has sent them before the pong to a ping that follows
 * those lines. */
static void end_input(session *s) {
  s->has_ended_input = true;
  if (s->in.is_too_long) complain(COMMAND, "the input has too long a line");
  if (s->settings->is_one || s->settings->wait == OPTION_FOREVER) return;
  if (s->settings->wait > 0) {
    ws_timer_set(s->timer, s->settings->wait);
  } else {
    ws_socket_ping(s->socket, last_ping, sizeof(last_ping));
    ws_timer_set(s->timer, PATIENCE_MS);
  }
}

static void on_timer(void *arg) {
  session *const s = arg;
  if (s->settings->is_one) {
    complain(COMMAND, "no message has come in time");
    decide(s, EXIT_TIMEOUT);
  } else if (ws_socket_buffered_amount(s->socket) > 0 &&
             s->settings->wait == 0) {
    ws_timer_set(s->timer, PATIENCE_MS); /* The ping has not left yet. */
    return;
  }
  close_normally(s);
}

/* -- Sending --------------------------------------------------------------- */

static void send_message(session *s, const char *text, size_t len) {
  ws_message_type type = WS_TEXT;
  if (s->settings->is_binary) {
    buffer_clear(&s->bytes);
    if (!decode_hex(&s->bytes, text, len) || s->bytes.has_failed) {
      complain(COMMAND, "not sent, as it is not hexadecimal: %.*s",
               len < 40 ? (int)len : 40, text);
      return;
    }
    type = WS_BINARY;
    text = s->bytes.data;
    len = s->bytes.len;
  }
  const int err = ws_socket_send(s->socket, type, text, len, 0);
  if (err != 0) complain(COMMAND, "not sent: %s", ws_strerror(err));
}

static bool can_send(const session *s) {
  return ws_socket_ready_state(s->socket) == WS_STATE_OPEN &&
         ws_socket_buffered_amount(s->socket) <= MAX_WAITING;
}

static void send_lines(session *s) {
  const char *text;
  size_t len;
  while (can_send(s) && input_next(&s->in, &text, &len))
    send_message(s, text, len);
  if (can_send(s) && s->in.has_ended && !s->has_ended_input) end_input(s);
}

/* -- Events ---------------------------------------------------------------- */

static void on_open(ws_socket *socket, const ws_event *event) {
  session *const s = ws_socket_user_data(socket);
  (void)event;
  transcript_open(&s->transcript, socket);
  const option_list *const messages = &s->settings->messages;
  for (size_t i = 0; i < messages->count; i++)
    send_message(s, messages->values[i], strlen(messages->values[i]));
}

static void on_message(ws_socket *socket, const ws_event *event) {
  session *const s = ws_socket_user_data(socket);
  transcript_message(&s->transcript, event);
  if (s->settings->is_one) {
    decide(s, EXIT_OK);
    close_normally(s);
  }
}

static void on_pong(ws_socket *socket, const ws_event *event) {
  session *const s = ws_socket_user_data(socket);
  if (s->has_ended_input && s->settings->wait == 0 &&
      event->u.control.len == sizeof(last_ping) &&
      memcmp(event->u.control.data, last_ping, sizeof(last_ping)) == 0) {
    close_normally(s);
  }
}

static void on_error(ws_socket *socket, const ws_event *event) {
  session *const s = ws_socket_user_data(socket);
  transcript_error(&s->transcript, &event->u.error);
  decide(s, client_exit_code(&event->u.error));
}

static void on_reconnect(ws_socket *socket, const ws_event *event) {
  session *const s = ws_socket_user_data(socket);
  transcript_reconnect(&s->transcript, event);
  s->has_ended_input = false; /* Its ping went with the connection. */
}

static void on_close(ws_socket *socket, const ws_event *event) {
  session *const s = ws_socket_user_data(socket);
  transcript_close(&s->transcript, event);
  decide(s, event->u.close.was_clean && !s->settings->is_one ? EXIT_OK
                                                             : EXIT_FAILED);
  s->is_over = true;
}

/* The first signal closes, the second does not wait. */
static void heed_signals(session *s) {
  const int interrupts = signals_interrupts();
  if (interrupts == s->interrupts) return;
  s->interrupts = interrupts;
  if (interrupts == 1 && ws_socket_ready_state(s->socket) == WS_STATE_OPEN) {
    transcript_note(&s->transcript, "closing");
    close_normally(s);
  } else {
    s->exit_code = EXIT_INTERRUPTED;
    ws_socket_terminate(s->socket);
  }
}

/* -- The command ----------------------------------------------------------- */

/* Waits for the loop, and for the input if what it brings could be sent. */
static bool wait_for_either(session *s, int loop_fd) {
  const bool wants_input = can_send(s) && !s->in.has_ended;
  if (wants_input) input_show(&s->in);
  else input_hide(&s->in);

  struct pollfd fds[2] = {
      {.fd = loop_fd, .events = POLLIN},
      {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
  };
  if (poll(fds, 2, -1) < 0) return errno == EINTR;
  if (fds[1].revents != 0) input_fill(&s->in);
  return true;
}

static int talk(session *s) {
  int loop_fd;
  if (ws_loop_fd(s->loop, &loop_fd) != 0)
    return fail(COMMAND, "no loop to wait for");
  while (!s->is_over) {
    send_lines(s);
    if (!wait_for_either(s, loop_fd)) return fail(COMMAND, "poll has failed");
    const int err = ws_loop_dispatch(s->loop, 0);
    if (err != 0) return fail(COMMAND, ws_strerror(err));
    heed_signals(s); /* One that comes later wakes the loop again. */
  }
  return s->exit_code;
}

static int open_and_talk(session *s, client *c, const char *url) {
  c->handlers.on_open = on_open;
  c->handlers.on_message = on_message;
  c->handlers.on_pong = on_pong;
  c->handlers.on_error = on_error;
  c->handlers.on_reconnect = on_reconnect;
  c->handlers.on_close = on_close;
  c->options.user_data = s;
  c->conn.max_send_queue = MAX_QUEUE;

  ws_error error;
  if (ws_timer_new(s->loop, WS_NO_DEADLINE, on_timer, s, &s->timer) != 0) {
    return fail(COMMAND, "out of memory");
  }
  if (s->settings->is_one && s->settings->client.timeout != 0) {
    ws_timer_set(s->timer, s->settings->client.timeout);
  }
  const int err = ws_socket_open(s->loop, url, strlen(url), &c->options,
                                 &s->socket, &error);
  if (err != 0) {
    complain(COMMAND, "%s", error.message);
    return err == WS_ERR_NO_MEMORY ? EXIT_FAILED : EXIT_USAGE;
  }
  ws_socket_retain(s->socket);
  const bool is_interactive =
      !s->settings->is_json && is_terminal(stdin) && is_terminal(stdout);
  input_begin(&s->in, is_interactive);
  const int code = talk(s);
  input_end(&s->in);
  ws_socket_release(s->socket);
  return code;
}

static int run(const connect_settings *settings, const char *url) {
  session s = {.settings = settings, .exit_code = -1};
  client c;
  ws_error error;
  s.transcript = (transcript){
      .is_json = settings->is_json, .is_full = settings->is_full, .in = &s.in};
  int code = client_init(&c, &settings->client, COMMAND);
  if (code != EXIT_OK) return code;
  if (ws_loop_new(NULL, &s.loop, &error) != 0) {
    code = fail(COMMAND, error.message);
  } else {
    signals_catch(s.loop, false);
    code = open_and_talk(&s, &c, url);
    signals_ignore();
    ws_loop_free(s.loop);
  }
  transcript_free(&s.transcript);
  buffer_free(&s.bytes);
  client_free(&c);
  return code;
}

/* What the table of options cannot say. */
static const char *find_contradiction(const client_settings *s) {
  if (s->key != NULL && s->certificate == NULL) return "--key needs --cert";
  if (s->proxy != NULL && s->without_proxy) {
    return "--proxy and --no-proxy exclude each other";
  }
  return NULL;
}

static int check_and_run(connect_settings *settings, const char *url) {
  const char *const contradiction = find_contradiction(&settings->client);
  if (contradiction != NULL) {
    complain(COMMAND, "%s", contradiction);
    return EXIT_USAGE;
  }
  if (settings->client.ping_interval == 0) {
    settings->client.ping_interval = WS_NEVER;
  }
  return run(settings, url);
}

int connect_command(int count, char *const *arguments) {
  connect_settings settings = {.client.ping_interval = DEFAULT_PING_MS};
  const char *url;
  int code = EXIT_OK;
  switch (options_read(&usage, count, arguments, &settings, &url)) {
  case OPTIONS_READ: code = check_and_run(&settings, url); break;
  case OPTIONS_HELP: options_print_help(&usage, stdout); break;
  case OPTIONS_WRONG: code = EXIT_USAGE; break;
  }
  options_free(&usage, &settings);
  return code;
}
