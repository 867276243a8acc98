/* client.h - one connection to the server: TCP, TLS where asked for, the
 * opening handshake, and the script's frames going out.
 *
 * It opens blocking and is then without blocking. Its descriptor suits an
 * edge-triggered poller: client_receive() is to be called until it returns
 * nothing, client_flush() whenever there is room again. */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include <openssl/ssl.h>

#include "reader.h"

/* What the server sends is read into this one buffer. */
#define CLIENT_BUFFER_SIZE (256 << 10)
extern uint8_t client_buffer[CLIENT_BUFFER_SIZE];

typedef struct client {
  int fd;
  SSL *ssl; /* NULL without TLS. */
  const load_script *script;
  reader reader;

  size_t next_frame; /* Of the script, which has not been asked for yet. */
  size_t send_at;    /* Of the script's bytes: where the next send begins. */
  size_t owed;       /* Bytes of frames asked for that did not go out yet. */
} client;

/* Connects, and has the server agree to WebSocket unless it is a raw one. */
void client_open(client *c, const load_options *options,
                 const load_script *script);

/* Drops the connection by RST, so that no port is left waiting. */
void client_drop(client *c);

/* Asks for the next `count` frames of the script to be sent. */
void client_ask(client *c, size_t count);

/* Sends what is owed, as far as there is room. */
void client_flush(client *c);

/* Reads once, and returns how many bytes came into client_buffer: 0 if there is
 * nothing more for now. */
size_t client_receive(client *c);

/* Sends one frame and waits for its echo. */
void client_echo_once(client *c);

/* -- The opening handshake, for those who do it by themselves ----------------- */

/* A connected TCP socket, not blocking. */
int client_connect(uint16_t port);

/* The request, ready to be sent. */
const char *client_request(const load_options *options);

/* Whether these bytes are all of an answer; ends the process if the answer is
 * not the right one. */
bool client_check_answer(const load_options *options, const char *answer,
                         size_t length);

#endif
