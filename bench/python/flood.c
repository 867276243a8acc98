/* flood.c - a server that sends binary messages as fast as a client takes them,
 * and reads nothing after the handshake. One block of frames is made beforehand
 * and sent again and again, so that a message costs the server next to nothing
 * and the client is what is measured. One client at a time.
 *
 *     flood SIZE
 */
#undef _POSIX_C_SOURCE
#define _GNU_SOURCE /* memmem() */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK_SIZE (256 << 10)
#define MAX_SIZE   65535 /* Of a message, for lengths of two bytes. */
#define MAX_SHORT  125
#define KEY_LENGTH 24
#define GUID       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static uint8_t block[BLOCK_SIZE + MAX_SIZE + 4];

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* Fills the block with whole frames; returns how many bytes they have. */
static size_t fill_block(size_t size) {
  size_t length = 0;
  while (length < BLOCK_SIZE) {
    block[length++] = 0x82; /* FIN, binary. */
    if (size <= MAX_SHORT) {
      block[length++] = (uint8_t)size;
    } else {
      block[length++] = 126;
      block[length++] = (uint8_t)(size >> 8);
      block[length++] = (uint8_t)size;
    }
    memset(block + length, 'x', size);
    length += size;
  }
  return length;
}

static int listen_anywhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
      listen(fd, 1) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0)
    die("listen");
  printf("listening on ws://127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

/* RFC 6455 4.2.2, number 4 of step 5. */
static void accept_of(const char *key, char accept[64]) {
  char text[KEY_LENGTH + sizeof(GUID)];
  snprintf(text, sizeof(text), "%.*s%s", KEY_LENGTH, key, GUID);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned length;
  if (!EVP_Digest(text, strlen(text), digest, &length, EVP_sha1(), NULL))
    die("EVP_Digest");
  EVP_EncodeBlock((uint8_t *)accept, digest, (int)length);
}

/* Reads the request and answers it. Returns false for one that is none. */
static int shake_hands(int fd) {
  char head[8192];
  size_t length = 0;
  while (memmem(head, length, "\r\n\r\n", 4) == NULL) {
    const ssize_t n = recv(fd, head + length, sizeof(head) - 1 - length, 0);
    if (n <= 0) return 0;
    length += (size_t)n;
  }
  head[length] = '\0';
  const char *name = "Sec-WebSocket-Key:";
  const char *key = strcasestr(head, name);
  if (key == NULL) return 0;
  key += strlen(name);
  key += strspn(key, " ");

  char accept[64];
  char answer[256];
  accept_of(key, accept);
  const int n = snprintf(answer, sizeof(answer),
                         "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
  return send(fd, answer, (size_t)n, 0) == n;
}

static void flood(int fd, size_t length) {
  for (;;) {
    for (size_t at = 0; at < length;) {
      const ssize_t n = send(fd, block + at, length - at, 0);
      if (n <= 0) return;
      at += (size_t)n;
    }
  }
}

int main(int argc, char **argv) {
  const size_t size = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
  if (size == 0 || size > MAX_SIZE) {
    fprintf(stderr, "usage: flood SIZE (1 to %d)\n", MAX_SIZE);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  const size_t length = fill_block(size);
  const int listener = listen_anywhere();
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) die("accept");
    if (shake_hands(fd)) flood(fd, length);
    close(fd);
  }
}
