/* replay.c - runs a fuzzer over the files of a folder, without a fuzzer. So the
 * corpus is an ordinary test, with any compiler. */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
  }
  const size_t size = (size_t)ftell(file);
  rewind(file);
  /* Exactly as large as the input, so that a sanitizer sees any overrun. */
  uint8_t *data = malloc(size > 0 ? size : 1);
  if (data == NULL || fread(data, 1, size, file) != size) {
    fprintf(stderr, "%s: cannot be read\n", path);
    exit(1);
  }
  fclose(file);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
}

int main(int argc, char **argv) {
  unsigned count = 0;
  for (int i = 1; i < argc; i++) {
    DIR *dir = opendir(argv[i]);
    if (dir == NULL) {
      fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
      return 1;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
      if (entry->d_name[0] == '.') continue;
      char path[PATH_MAX];
      snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
      replay(path);
      count++;
    }
    closedir(dir);
  }
  printf("%u inputs replayed\n", count);
  return count > 0 ? 0 : 1;
}
