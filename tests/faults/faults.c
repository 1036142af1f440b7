// Preloaded into the bot by tests (LD_PRELOAD), never linked to it: dies at a chosen instant, forgets what a disk that
// lost its power would forget, and refuses what a disk refuses. Only what leaves the process is a point: a write, a
// truncation or a sync of the journal, a connect, and a send.
//   KEYTURN_FAULTS_JOURNAL  the journal's path; its -wal is meant as well
//   KEYTURN_FAULTS_LOG      every point as a line: "NUMBER WHAT"
//   KEYTURN_FAULTS_DIE      "NUMBER before|after": SIGKILL at that point
//   KEYTURN_FAULTS_LOSE     "all" or "some": what was written and not synced is gone at that death; some: in sectors
//   KEYTURN_FAULTS_LIES     set: a sync says that it is done and does nothing, which nobody can survive
//   KEYTURN_FAULTS_DISK     a file that says, now: "full", "read-only", "broken", "slow MILLISECONDS", or nothing
//   KEYTURN_FAULTS_NAMES    a file that says "gone" while no name can be resolved
//   KEYTURN_FAULTS_CLOCK    a file that says by how many seconds the clock on the wall is wrong, now
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { kSector = 512, kMostFiles = 4096 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long points, die_at;
static int die_after, lies;
static const char *journal, *lose, *disk, *wall, *names;
static int log_file = -1;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int), (*real_fsync)(int), (*real_ftruncate)(int, off_t);
static int (*real_connect)(int, const struct sockaddr *, socklen_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static int (*real_getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

// What a file held before a write that is not synced yet.
struct undo {
  struct undo *older;
  int fd;
  off_t at, size_before;
  size_t length;  // of `bytes`; less than what was written where the file grew
  char bytes[];
};
static struct undo *undos;

static __attribute__((constructor)) void begin(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_connect = dlsym(RTLD_NEXT, "connect");
  real_send = dlsym(RTLD_NEXT, "send");
  real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
  names = getenv("KEYTURN_FAULTS_NAMES");
  journal = getenv("KEYTURN_FAULTS_JOURNAL");
  wall = getenv("KEYTURN_FAULTS_CLOCK");
  lose = getenv("KEYTURN_FAULTS_LOSE");
  disk = getenv("KEYTURN_FAULTS_DISK");
  lies = getenv("KEYTURN_FAULTS_LIES") != NULL;
  const char *die = getenv("KEYTURN_FAULTS_DIE"), *log = getenv("KEYTURN_FAULTS_LOG");
  if (die) {
    die_at = strtol(die, NULL, 10);
    die_after = strstr(die, "after") != NULL;
  }
  if (log) log_file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// "journal" or "wal" when `fd` is one of the two files; else null.
static const char *file_of(int fd) {
  static __thread char link[64], path[4096];
  if (!journal) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  const size_t name = strlen(journal);
  if (strncmp(path, journal, name) != 0) return NULL;
  if (path[name] == 0) return "journal";
  return strcmp(path + name, "-wal") == 0 ? "wal" : NULL;
}

static void remember(int fd, off_t at, size_t length) {
  struct stat status;
  if (!lose || fstat(fd, &status) != 0) return;
  const size_t there = at >= status.st_size ? 0 : (size_t)(status.st_size - at);
  const size_t held = length < there ? length : there;
  struct undo *undo = malloc(sizeof *undo + held);
  *undo = (struct undo){undos, fd, at, status.st_size, held};
  if (pread(fd, undo->bytes, held, at) != (ssize_t)held) abort();
  undos = undo;
}

static void forget_synced(int fd) {
  struct stat synced, other;
  if (!undos || fstat(fd, &synced) != 0) return;
  for (struct undo **at = &undos; *at;) {
    if (fstat((*at)->fd, &other) == 0 && other.st_ino == synced.st_ino) {
      struct undo *gone = *at;
      *at = gone->older;
      free(gone);
    } else {
      at = &(*at)->older;
    }
  }
}

// As a disk without power: newest first, so that what was there before the last sync comes back. With "some", a sector
// in two has reached the disk all the same.
static void lose_unsynced(void) {
  const int all = strcmp(lose, "all") == 0;
  unsigned dice = (unsigned)points * 2654435761u;
  for (const struct undo *undo = undos; undo; undo = undo->older) {
    for (size_t done = 0; done < undo->length; done += kSector) {
      const size_t rest = undo->length - done;
      dice = dice * 1103515245u + 12345u;
      if (all || (dice >> 16) % 2)
        real_pwrite(undo->fd, undo->bytes + done, rest < kSector ? rest : kSector, undo->at + (off_t)done);
    }
    // What the file grew by: gone, or holes.
    struct stat status;
    if (fstat(undo->fd, &status) != 0 || status.st_size <= undo->size_before) continue;
    dice = dice * 1103515245u + 12345u;
    if (all || (dice >> 16) % 2) real_ftruncate(undo->fd, undo->size_before);
  }
}

static void die(void) {
  if (lose) lose_unsynced();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static long reach(const char *what, const char *detail, size_t length) {
  const long number = ++points;
  if (log_file >= 0) {
    char line[160];
    const int size = snprintf(line, sizeof line, "%ld %s %.*s\n", number, what, (int)(length > 100 ? 100 : length), detail);
    if (write(log_file, line, (size_t)size) != size) abort();
  }
  if (number == die_at && !die_after) die();
  return number;
}

static void leave(long number) {
  if (number == die_at && die_after) die();
}

// What a file that a test writes says now; empty when there is none.
static void ask(const char *path, char text[32]) {
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  const ssize_t size = file < 0 ? 0 : read(file, text, 31);
  if (file >= 0) close(file);
  text[size > 0 ? size : 0] = 0;
}

// The error of a disk that is not well.
static int refused(int writes) {
  char text[32];
  ask(disk, text);
  if (writes && strncmp(text, "full", 4) == 0) return ENOSPC;
  if (writes && strncmp(text, "read-only", 9) == 0) return EROFS;
  if (strncmp(text, "broken", 6) == 0) return EIO;
  if (!writes && strncmp(text, "slow ", 5) == 0) {
    const long milliseconds = strtol(text + 5, NULL, 10);
    const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
  }
  return 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
  const char *file = file_of(fd);
  if (!file) return real_pwrite(fd, bytes, length, at);
  if ((errno = refused(1)) != 0) return -1;
  pthread_mutex_lock(&mutex);
  const long number = reach("write", file, strlen(file));
  remember(fd, at, length);
  const ssize_t written = real_pwrite(fd, bytes, length, at);
  leave(number);
  pthread_mutex_unlock(&mutex);
  return written;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

int ftruncate64(int fd, off_t size) {
  const char *file = file_of(fd);
  if (!file) return real_ftruncate(fd, size);
  if ((errno = refused(1)) != 0) return -1;
  pthread_mutex_lock(&mutex);
  const long number = reach("truncate", file, strlen(file));
  struct stat status;
  if (fstat(fd, &status) == 0 && size < status.st_size) remember(fd, size, (size_t)(status.st_size - size));
  const int result = real_ftruncate(fd, size);
  leave(number);
  pthread_mutex_unlock(&mutex);
  return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int sync_with(int (*real)(int), int fd) {
  const char *file = file_of(fd);
  if (!file) return real(fd);
  if ((errno = refused(0)) != 0) return -1;
  pthread_mutex_lock(&mutex);
  const long number = reach("sync", file, strlen(file));
  const int result = real(fd);
  if (result == 0 && !lies) forget_synced(fd);
  leave(number);
  pthread_mutex_unlock(&mutex);
  return result;
}
int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }
int fsync(int fd) { return sync_with(real_fsync, fd); }

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  pthread_mutex_lock(&mutex);
  const long number = reach("connect", "", 0);
  const int result = real_connect(fd, address, length);
  const int reason = errno;
  leave(number);
  pthread_mutex_unlock(&mutex);
  errno = reason;
  return result;
}

// Of a request, method and path; nothing of what else goes out stands in a log.
static long reach_send(const char *bytes, size_t length) {
  size_t end = 0, spaces = 0;
  while (end < length && bytes[end] >= ' ' && bytes[end] < 127 && bytes[end] != '?' && (bytes[end] != ' ' || !spaces++)) ++end;
  const int request = spaces > 0 && bytes[0] >= 'A' && bytes[0] <= 'Z';
  return request ? reach("send", bytes, end) : reach("send", "-", 1);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  pthread_mutex_lock(&mutex);
  const long number = reach_send(bytes, length);
  const ssize_t sent = real_send(fd, bytes, length, flags);
  const int reason = errno;
  leave(number);
  pthread_mutex_unlock(&mutex);
  errno = reason;
  return sent;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  pthread_mutex_lock(&mutex);
  const long number = message->msg_iovlen > 0 ? reach_send(message->msg_iov[0].iov_base, message->msg_iov[0].iov_len)
                                              : reach("send", "-", 1);
  const ssize_t sent = real_sendmsg(fd, message, flags);
  const int reason = errno;
  leave(number);
  pthread_mutex_unlock(&mutex);
  errno = reason;
  return sent;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
  char text[32];
  ask(names, text);
  return strncmp(text, "gone", 4) == 0 ? EAI_AGAIN : real_getaddrinfo(name, service, hints, result);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");  // asked before begin()
  const int result = real_clock_gettime(clock, time);
  if (!wall || clock != CLOCK_REALTIME) return result;
  char text[32];
  ask(wall, text);
  time->tv_sec += strtol(text, NULL, 10);
  return result;
}
