/* replay.c - runs a fuzz target without a fuzzer, as an ordinary test with any
 * compiler:
 *
 *   replay_X FOLDER...             over the files of a corpus
 *   replay_X --random COUNT [SEED] over COUNT random inputs, from SEED (1) on;
 * a failing one is named by its seed */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* -- Random inputs --------------------------------------------------------- */

#define MAX_RANDOM_SIZE 600

static volatile sig_atomic_t seed;

static void name_seed(int signal_number) {
  fprintf(stderr, "failed with seed %ld\n", (long)seed);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

/* splitmix64: neighbouring seeds give unrelated bytes. */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

static void run_seed(void) {
  uint64_t state = (uint64_t)seed;
  const size_t size = (size_t)(next_random(&state) % (MAX_RANDOM_SIZE + 1));
  uint8_t *data = malloc(size > 0 ? size : 1);
  if (data == NULL) abort();
  for (size_t i = 0; i < size; i++)
    data[i] = (uint8_t)(next_random(&state) >> 32);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
}

static unsigned run_random(long count, long first) {
  signal(SIGABRT, name_seed);
  for (long i = 0; i < count; i++) {
    seed = (sig_atomic_t)(first + i);
    run_seed();
  }
  return (unsigned)count;
}

/* -- Files ----------------------------------------------------------------- */

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

static unsigned replay_folder(const char *folder) {
  DIR *dir = opendir(folder);
  if (dir == NULL) {
    fprintf(stderr, "%s: %s\n", folder, strerror(errno));
    exit(1);
  }
  unsigned count = 0;
  const struct dirent *entry;
  while ((entry = readdir(dir)) != NULL) {
    if (entry->d_name[0] == '.') continue;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
    replay(path);
    count++;
  }
  closedir(dir);
  return count;
}

int main(int argc, char **argv) {
  unsigned count = 0;
  if (argc >= 3 && strcmp(argv[1], "--random") == 0) {
    count = run_random(atol(argv[2]), argc > 3 ? atol(argv[3]) : 1);
  } else {
    for (int i = 1; i < argc; i++)
      count += replay_folder(argv[i]);
  }
  printf("%u inputs\n", count);
  return count > 0 ? 0 : 1;
}
