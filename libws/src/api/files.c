/* files.c - the files of a folder, for the pages that go with a WebSocket
 * server. Every step of a path is opened below the one before and never through
 * a symbolic link, so that nothing outside of the folder can be reached. */
#include "api/files.h"
#include "api/socket.h"
#include "base/ascii.h"
#include "io/net.h"
#include "proto/http.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char index_name[] = "index.html";

/* Decodes one character of a target. Returns how many it takes, 0 if it must
 * not stand there. */
static size_t decode(const char *at, char *out) {
  *out = *at;
  size_t len = 1;
  if (*at == '%') {
    const int high = ws__hex_value(at[1]);
    const int low = high < 0 ? -1 : ws__hex_value(at[2]);
    if (low < 0) return 0;
    *out = (char)(high * 16 + low);
    len = 3;
    if (*out == '/') return 0; /* It would be another path to others. */
  }
  return *out == '\0' || *out == '\\' ? 0 : len;
}

bool ws__file_path(const char *target, char out_path[WS__FILE_PATH_SIZE]) {
  if (target[0] != '/') return false;
  size_t used = 0;
  bool is_start = true; /* Of a name. */
  for (const char *at = target + 1; *at != '\0' && *at != '?';) {
    char c;
    const size_t len = decode(at, &c);
    if (len == 0 || (is_start && (c == '.' || c == '/'))) return false;
    if (used + sizeof(index_name) >= WS__FILE_PATH_SIZE) return false;
    out_path[used++] = c;
    is_start = c == '/';
    at += len;
  }
  if (is_start) {
    memcpy(out_path + used, index_name, sizeof(index_name) - 1);
    used += sizeof(index_name) - 1;
  }
  out_path[used] = '\0';
  return true;
}

const char *ws__file_type(const char *path) {
  static const struct {
    const char *end;
    const char *type;
  } types[] = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".txt", "text/plain; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".jpeg", "image/jpeg"},
      {".gif", "image/gif"},
      {".webp", "image/webp"},
      {".ico", "image/x-icon"},
      {".wasm", "application/wasm"},
      {".woff2", "font/woff2"},
  };
  const size_t len = strlen(path);
  for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
    const size_t end_len = strlen(types[i].end);
    if (len > end_len && strcmp(path + len - end_len, types[i].end) == 0) {
      return types[i].type;
    }
  }
  return "application/octet-stream";
}

/* Opens a path below a folder, name by name. Returns -1, with errno, if it
 * cannot be opened. `path` is changed and restored. */
static int open_below(const char *root, char *path) {
  int folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char *name = path;
  char *slash;
  while (folder >= 0 && (slash = strchr(name, '/')) != NULL) {
    *slash = '\0';
    const int below =
        openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *slash = '/';
    ws__net_close(folder);
    folder = below;
    name = slash + 1;
  }
  if (folder < 0) return -1;
  /* A FIFO must not have us wait for a writer. */
  const int fd =
      openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  ws__net_close(folder);
  return fd;
}

/* Reads all of a plain file. Returns the HTTP status. */
static uint16_t read_file(int fd, const ws_allocator *allocator,
                          uint8_t **out_data, size_t *out_size) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return 404;
  if (info.st_size < 0 || (uint64_t)info.st_size > WS__FILE_MAX) return 413;
  const size_t size = (size_t)info.st_size;
  uint8_t *data = ws__alloc(allocator, size + 1);
  if (data == NULL) return 500;
  size_t used = 0;
  while (used < size) {
    const ssize_t n = read(fd, data + used, size - used);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    used += (size_t)n;
  }
  if (used < size) {
    ws__free(allocator, data, size + 1);
    return 500;
  }
  *out_data = data;
  *out_size = size;
  return 200;
}

static int respond_data(ws_socket *socket, const char *path,
                        const uint8_t *data, size_t size) {
  const char *type = ws__file_type(path);
  const ws_header headers[] = {
      {"Content-Type", 12, type, strlen(type)},
      {"X-Content-Type-Options", 22, "nosniff", 7},
      {"Cache-Control", 13, "no-cache", 8},
  };
  return ws_socket_respond(socket, 200, headers,
                           sizeof(headers) / sizeof(*headers), data, size,
                           NULL);
}

/* Answers with another status than 200. */
static int refuse(ws_socket *socket, uint16_t status) {
  const char *text = "The file cannot be read.\n";
  if (status == 404) text = "There is no such file.\n";
  if (status == 405) text = "Only GET and HEAD.\n";
  if (status == 413) text = "The file is too large.\n";
  return ws__socket_respond_text(socket, status, text);
}

/* Why a file could not be opened: it is not there, or not for everyone, unless
 * it is we who lack something. */
static uint16_t status_of(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM ? 500 : 404;
}

int ws_socket_respond_file(ws_socket *socket, const char *root) {
  const ws_request *request = ws__opening_request(&socket->conn);
  if (request == NULL) return WS_ERR_INVALID_STATE;
  if (strcmp(request->method, "GET") != 0 &&
      strcmp(request->method, "HEAD") != 0) {
    return refuse(socket, 405);
  }
  char path[WS__FILE_PATH_SIZE];
  if (!ws__file_path(ws__http_path(request->target), path)) {
    return refuse(socket, 404);
  }
  const int fd = open_below(root, path);
  if (fd < 0) return refuse(socket, status_of(errno));

  const ws_allocator *allocator = ws__conn_allocator(&socket->conn);
  uint8_t *data;
  size_t size;
  const uint16_t status = read_file(fd, allocator, &data, &size);
  ws__net_close(fd);
  if (status != 200) return refuse(socket, status);
  const int err = respond_data(socket, path, data, size);
  ws__free(allocator, data, size + 1);
  return err;
}
