/* peer.c - the command line and the listening socket. */
#include "peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BACKLOG 1024

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"compression", no_argument, NULL, 'z'},
    {"broadcast", no_argument, NULL, 'b'},
    {"tls-cert", required_argument, NULL, 'c'},
    {"tls-key", required_argument, NULL, 'k'},
    {NULL, 0, NULL, 0},
};

void peer_read_options(peer_options *options, int argc, char **argv) {
  *options = (peer_options){.port = 0};
  int option;
  while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
    switch (option) {
    case 'p': options->port = (uint16_t)strtoul(optarg, NULL, 10); break;
    case 'z': options->has_compression = true; break;
    case 'b': options->is_broadcast = true; break;
    case 'c': options->tls_cert = optarg; break;
    case 'k': options->tls_key = optarg; break;
    default: exit(2);
    }
  }
}

void peer_die(const char *what) {
  perror(what);
  exit(1);
}

int peer_listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  const struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons(port),
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
  };
  if (fd < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
      listen(fd, BACKLOG) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    peer_die("listen");
  return fd;
}

int peer_port(int fd) {
  struct sockaddr_in address;
  socklen_t length = sizeof(address);
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
    peer_die("getsockname");
  return ntohs(address.sin_port);
}

void peer_announce(const peer_options *options, int port) {
  printf("listening on %s://127.0.0.1:%d\n",
         options->tls_cert != NULL ? "wss" : "ws", port);
  fflush(stdout);
}
