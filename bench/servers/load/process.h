/* process.h - what a process of this machine has used so far. */
#ifndef LOAD_PROCESS_H
#define LOAD_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* Processor time of all its threads, in nanoseconds. 0 means this process. */
uint64_t process_cpu(pid_t pid);

/* Bytes of memory that it shares with nobody. */
uint64_t process_memory(pid_t pid);

/* Waits until it does nothing any more, or for a few seconds. */
void process_settle(pid_t pid);

#endif
