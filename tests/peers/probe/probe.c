/* probe.c - one loop of libws, driven by commands on standard input, that
 * prints every event as a line of JSON.
 *
 *     listen [NAME=VALUE]...            a server; those it accepts get numbers
 *     connect URL [NAME=VALUE]...       a client; gets the next number
 *     send ID text|binary PAYLOAD [fragment] [uncompressed]
 *     ping ID [PAYLOAD]   pong ID [PAYLOAD]
 *     close ID [CODE [REASON]]          as a browser may
 *     close-with ID CODE [REASON]       with every code there is
 *     terminate ID   pause ID   resume ID   state ID
 *     shutdown [CODE [REASON]]          ends the server in good order
 *
 * Words are percent-encoded (command.h), options are in options.h. Tests use it
 * where they need to see exact events or to act at an exact moment. It ends
 * with its input. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "report.h"
#include "ws/ws.h"

#define MAX_SOCKETS 1024
#define MAX_INPUT   65536

/* Sockets are retained until the end, so that a test can also look at those
 * that are closed. Numbers begin at 1. */
typedef struct probe_state {
  ws_loop *loop;
  ws_server *server;
  ws_socket *sockets[MAX_SOCKETS];
  bool is_echo[MAX_SOCKETS];
  unsigned count;
  bool is_server_echo;
} probe_state;

/* -- Numbers --------------------------------------------------------------- */

static unsigned add_socket(probe_state *probe, ws_socket *socket,
                           bool is_echo) {
  if (probe->count == MAX_SOCKETS - 1) {
    fprintf(stderr, "probe: more than %d sockets\n", MAX_SOCKETS - 1);
    exit(EXIT_FAILURE);
  }
  const unsigned id = ++probe->count;
  probe->sockets[id] = ws_socket_retain(socket);
  probe->is_echo[id] = is_echo;
  ws_socket_set_user_data(socket, (void *)(uintptr_t)id);
  return id;
}

/* The number of a socket; one that a server accepted gets it now. */
static unsigned id_of(probe_state *probe, ws_socket *socket) {
  if (socket == NULL) return 0;
  const unsigned id = (unsigned)(uintptr_t)ws_socket_user_data(socket);
  return id != 0 ? id : add_socket(probe, socket, probe->is_server_echo);
}

/* -- Commands of the probe -------------------------------------------------- */

static int listen_command(probe_state *probe, const probe_command *command,
                          ws_error *error) {
  if (probe->server != NULL) return WS_ERR_INVALID_STATE;
  probe_options options;
  int err = options_read(command, 1, &options, error);
  if (err != 0) return err;

  ws_server_options server_options;
  ws_listen_options listen_options;
  ws_tls_context *tls;
  err = options_server(&options, &server_options, &listen_options, &tls, error);
  if (err == 0) {
    err = ws_server_new(probe->loop, &server_options, &probe->server, error);
  }
  if (err == 0) err = ws_server_listen(probe->server, &listen_options, error);
  if (err == 0) {
    probe->is_server_echo = options.is_echo;
    report_listening(probe->server);
  }
  ws_tls_context_free(tls);
  return err;
}

static int connect_command(probe_state *probe, const probe_command *command,
                           ws_error *error) {
  probe_options options;
  int err = options_read(command, 2, &options, error);
  if (err != 0) return err;

  const char *url = command_get(command, 1);
  ws_header headers[MAX_VALUES];
  ws_socket_options socket_options;
  ws_tls_context *tls;
  ws_socket *socket;
  err = options_client(&options, headers, &socket_options, &tls, error);
  if (err == 0) {
    err = ws_socket_open(probe->loop, url, strlen(url), &socket_options,
                         &socket, error);
  }
  if (err == 0) report_connecting(add_socket(probe, socket, options.is_echo));
  ws_tls_context_free(tls);
  return err;
}

static int shutdown_command(probe_state *probe, const probe_command *command,
                            ws_error *error) {
  (void)error;
  if (probe->server == NULL) return WS_ERR_INVALID_STATE;
  const char *reason = command_get(command, 2);
  return ws_server_close(probe->server, (uint16_t)command_number(command, 1),
                         reason, strlen(reason), 0);
}

/* -- Commands of a socket, whose number is word 1 --------------------------- */

static int send_command(ws_socket *socket, const probe_command *command) {
  const ws_message_type type =
      strcmp(command_get(command, 2), "text") == 0 ? WS_TEXT : WS_BINARY;
  unsigned flags = 0;
  for (size_t i = 4; i < command->count; i++) {
    if (strcmp(command->text[i], "fragment") == 0) flags |= WS_SEND_FRAGMENT;
    if (strcmp(command->text[i], "uncompressed") == 0) {
      flags |= WS_SEND_UNCOMPRESSED;
    }
  }
  void *memory;
  size_t len;
  const void *data = command_payload(command, 3, type, &len, &memory);
  const int err = data != NULL ? ws_socket_send(socket, type, data, len, flags)
                               : WS_ERR_NO_MEMORY;
  free(memory);
  return err;
}

static int ping_command(ws_socket *socket, const probe_command *command) {
  const char *payload = command_get(command, 2);
  return ws_socket_ping(socket, payload, strlen(payload));
}

static int pong_command(ws_socket *socket, const probe_command *command) {
  const char *payload = command_get(command, 2);
  return ws_socket_pong(socket, payload, strlen(payload));
}

static int close_command(ws_socket *socket, const probe_command *command) {
  const char *reason = command_get(command, 3);
  return ws_socket_close(socket, (uint16_t)command_number(command, 2), reason,
                         strlen(reason));
}

static int close_with_command(ws_socket *socket, const probe_command *command) {
  const char *reason = command_get(command, 3);
  return ws_socket_close_with(socket, (uint16_t)command_number(command, 2),
                              reason, strlen(reason));
}

static int terminate_command(ws_socket *socket, const probe_command *command) {
  (void)command;
  ws_socket_terminate(socket);
  return 0;
}

static int pause_command(ws_socket *socket, const probe_command *command) {
  (void)command;
  ws_socket_pause(socket);
  return 0;
}

static int resume_command(ws_socket *socket, const probe_command *command) {
  (void)command;
  ws_socket_resume(socket);
  return 0;
}

static int state_command(ws_socket *socket, const probe_command *command) {
  report_state((unsigned)command_number(command, 1), socket);
  return 0;
}

/* -- Running them ------------------------------------------------------------ */

static const struct {
  const char *name;
  int (*run)(probe_state *probe, const probe_command *command, ws_error *error);
} probe_commands[] = {
    {"listen", listen_command},
    {"connect", connect_command},
    {"shutdown", shutdown_command},
};

static const struct {
  const char *name;
  int (*run)(ws_socket *socket, const probe_command *command);
} socket_commands[] = {
    {"send", send_command},     {"ping", ping_command},
    {"pong", pong_command},     {"close", close_command},
    {"pause", pause_command},   {"close-with", close_with_command},
    {"state", state_command},   {"terminate", terminate_command},
    {"resume", resume_command},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int run_socket_command(probe_state *probe,
                              const probe_command *command) {
  const uint64_t id = command_number(command, 1);
  if (id == 0 || id > probe->count) return WS_ERR_INVALID_ARGUMENT;
  const char *name = command_get(command, 0);
  for (size_t i = 0; i < COUNT(socket_commands); i++) {
    if (strcmp(name, socket_commands[i].name) == 0) {
      return socket_commands[i].run(probe->sockets[id], command);
    }
  }
  return WS_ERR_INVALID_ARGUMENT;
}

static int run_command(probe_state *probe, const probe_command *command,
                       ws_error *error) {
  const char *name = command_get(command, 0);
  for (size_t i = 0; i < COUNT(probe_commands); i++) {
    if (strcmp(name, probe_commands[i].name) == 0) {
      return probe_commands[i].run(probe, command, error);
    }
  }
  return run_socket_command(probe, command);
}

static void run_line(probe_state *probe, char *line) {
  probe_command command;
  command_split(line, &command);
  ws_error error = {0};
  const int err = run_command(probe, &command, &error);
  if (err != 0) report_refused(command_get(&command, 0), err, error.message);
}

/* -- The loop -------------------------------------------------------------- */

/* Standard input, up to the last whole line. */
typedef struct input_buffer {
  char data[MAX_INPUT];
  size_t len;
} input_buffer;

/* Runs the commands that have come. Returns false at the end of the input. */
static bool read_commands(probe_state *probe, input_buffer *input) {
  const ssize_t n = read(STDIN_FILENO, input->data + input->len,
                         sizeof(input->data) - input->len);
  if (n <= 0) return n < 0 && errno == EINTR;
  input->len += (size_t)n;

  char *line = input->data;
  char *const end = input->data + input->len;
  for (char *newline; (newline = memchr(line, '\n', (size_t)(end - line)));
       line = newline + 1) {
    *newline = '\0';
    run_line(probe, line);
  }
  input->len = (size_t)(end - line);
  memmove(input->data, line, input->len);
  return true;
}

/* Whether an event is the end of a socket that had no other: one of a server,
 * which asked for a page and got it. */
static bool is_plain_http(const ws_event *event) {
  return event->type == WS_EVENT_CLOSE &&
         ws_socket_user_data(event->socket) == NULL;
}

static void handle(probe_state *probe, const ws_event *event) {
  if (is_plain_http(event)) return;
  const unsigned id = id_of(probe, event->socket);
  report_event(id, event);
  if (event->type == WS_EVENT_SERVER_CLOSE) probe->server = NULL;
  if (event->type == WS_EVENT_MESSAGE && probe->is_echo[id]) {
    (void)ws_socket_send(event->socket, event->u.message.type,
                         event->u.message.data, event->u.message.len,
                         WS_SEND_VALID_UTF8);
  }
}

static void turn(probe_state *probe) {
  ws_event event;
  if (ws_loop_wait(probe->loop, 0) != 0) exit(EXIT_FAILURE);
  while (ws_loop_next(probe->loop, &event))
    handle(probe, &event);
  fflush(stdout);
}

static void run(probe_state *probe) {
  static input_buffer input;
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.events = POLLIN}};
  if (ws_loop_fd(probe->loop, &fds[1].fd) != 0) exit(EXIT_FAILURE);
  for (;;) {
    turn(probe);
    if (poll(fds, 2, -1) < 0 && errno != EINTR) exit(EXIT_FAILURE);
    if (fds[0].revents != 0 && !read_commands(probe, &input)) return;
  }
}

int main(void) {
  static probe_state probe;
  ws_error error;
  if (ws_loop_new(NULL, &probe.loop, &error) != 0) {
    fprintf(stderr, "probe: %s\n", error.message);
    return EXIT_FAILURE;
  }
  run(&probe);
  ws_loop_free(probe.loop);
  for (unsigned id = 1; id <= probe.count; id++) {
    ws_socket_release(probe.sockets[id]);
  }
  return EXIT_SUCCESS;
}
