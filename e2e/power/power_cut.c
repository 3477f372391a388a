/*
 * A preloaded library that simulates power cuts. It keeps the durable state of the files below POWER_DATA in the folder
 * POWER_SHADOW: a write, truncation or new file reaches the shadow when the program syncs the file, and a rename or removal
 * when it syncs the folder. The files below POWER_DATA themselves behave as usual.
 *
 * After SIGKILL, the shadow holds what a disk without any spontaneous write-back would hold after a power cut.
 * POWER_IGNORE names a suffix of files whose syncs do nothing: the simulated bug of a program that forgets to sync them.
 * SQLite's shared memory (-shm) is not durable and is left out.
 *
 * cc -shared -fPIC -O1 -o power_cut.so power_cut.c -ldl -lpthread
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FDS 65536

/* An unsynced write of `length` bytes at `offset`, or a truncation to `offset` if `bytes` is null. */
struct change {
  struct change *next;
  off_t offset;
  size_t length;
  char *bytes;
};

/* A file below POWER_DATA, with its unsynced changes in order. */
struct file {
  struct file *next;
  char path[PATH_MAX]; /* relative to POWER_DATA; empty once removed */
  struct change *first, **last;
};

/* An unsynced rename, or a removal if `to` is empty. */
struct move {
  struct move *next;
  char from[PATH_MAX], to[PATH_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct move *moves, **last_move = &moves;
static struct file *by_fd[MOST_FDS];
static char folder_fd[MOST_FDS];
static char data[PATH_MAX], shadow[PATH_MAX];
static const char *ignored;
static int active = -1;

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int enabled(void) {
  if (active < 0) {
    const char *from = getenv("POWER_DATA"), *to = getenv("POWER_SHADOW");
    active = from && to && realpath(from, data) && realpath(to, shadow);
    ignored = getenv("POWER_IGNORE");
  }
  return active;
}

static int ends_with(const char *text, const char *suffix) {
  size_t a = strlen(text), b = strlen(suffix);
  return a >= b && !strcmp(text + a - b, suffix);
}

/* The path relative to POWER_DATA, or null for other files. */
static const char *relative(const char *path, char *buffer) {
  char full[PATH_MAX * 2];
  if (path[0] == '/') snprintf(full, sizeof full, "%s", path);
  else if (getcwd(full, PATH_MAX)) snprintf(full + strlen(full), PATH_MAX, "/%s", path);
  else return NULL;
  char folder[PATH_MAX * 2], *slash = strrchr(full, '/'), resolved[PATH_MAX];
  snprintf(folder, sizeof folder, "%.*s", (int)(slash - full), full);
  if (!realpath(folder[0] ? folder : "/", resolved)) return NULL;
  size_t length = strlen(data);
  if (strncmp(resolved, data, length) || (resolved[length] && resolved[length] != '/')) return NULL;
  int size = snprintf(buffer, PATH_MAX, "%s/%s", resolved + length, slash + 1);
  return size < PATH_MAX && !ends_with(buffer, "-shm") ? buffer : NULL;
}

static struct file *find(const char *path) {
  for (struct file *file = files; file; file = file->next)
    if (!strcmp(file->path, path)) return file;
  struct file *file = calloc(1, sizeof *file);
  snprintf(file->path, sizeof file->path, "%s", path);
  file->last = &file->first;
  file->next = files;
  return files = file;
}

static void in_shadow(const char *path, char *full) { snprintf(full, PATH_MAX * 2, "%s%s", shadow, path); }

static void make_folders(char *full) {
  for (char *slash = full + strlen(shadow) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = 0;
    mkdir(full, 0700);
  }
}

static void add(struct file *file, off_t offset, const void *bytes, size_t length) {
  struct change *change = calloc(1, sizeof *change);
  change->offset = offset;
  change->length = length;
  if (bytes) {
    change->bytes = malloc(length ? length : 1);
    memcpy(change->bytes, bytes, length);
  }
  *file->last = change;
  file->last = &change->next;
}

static void sync_file(struct file *file) {
  REAL(int, open64, const char *, int, ...);
  static ssize_t (*put)(int, const void *, size_t, off_t);
  if (!put) put = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
  static int (*cut)(int, off_t);
  if (!cut) cut = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate64");
  static int (*shut)(int);
  if (!shut) shut = (int (*)(int))dlsym(RTLD_NEXT, "close");
  if (!file->path[0] || (ignored && ends_with(file->path, ignored))) return;
  char full[PATH_MAX * 2];
  in_shadow(file->path, full);
  make_folders(full);
  int fd = real(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) abort();
  while (file->first) {
    struct change *change = file->first;
    if (!change->bytes) {
      if (cut(fd, change->offset)) abort();
    } else if (put(fd, change->bytes, change->length, change->offset) != (ssize_t)change->length) abort();
    file->first = change->next;
    free(change->bytes);
    free(change);
  }
  file->last = &file->first;
  shut(fd);
}

static void sync_folders(void) {
  static int (*move)(const char *, const char *);
  if (!move) move = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  static int (*discard)(const char *);
  if (!discard) discard = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
  while (moves) {
    struct move *next = moves;
    char from[PATH_MAX * 2], to[PATH_MAX * 2];
    in_shadow(next->from, from);
    in_shadow(next->to, to);
    if (next->to[0]) move(from, to);
    else discard(from);
    moves = next->next;
    free(next);
  }
  last_move = &moves;
}

static void add_move(const char *from, const char *to) {
  struct move *move = calloc(1, sizeof *move);
  snprintf(move->from, PATH_MAX, "%s", from);
  snprintf(move->to, PATH_MAX, "%s", to);
  *last_move = move;
  last_move = &move->next;
}

static void opened(int fd, const char *path, int flags) {
  if (fd < 0 || fd >= MOST_FDS || !enabled()) return;
  char buffer[PATH_MAX];
  const char *name = relative(path, buffer);
  struct stat stat;
  pthread_mutex_lock(&lock);
  by_fd[fd] = NULL;
  folder_fd[fd] = 0;
  if (!fstat(fd, &stat)) {
    char resolved[PATH_MAX];
    if (S_ISDIR(stat.st_mode)) folder_fd[fd] = realpath(path, resolved) && !strncmp(resolved, data, strlen(data));
    else if (name && S_ISREG(stat.st_mode)) {
      by_fd[fd] = find(name);
      if (flags & O_TRUNC) add(by_fd[fd], 0, NULL, 0);
    }
  }
  pthread_mutex_unlock(&lock);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(int, name, const char *, int, ...); \
    va_list rest; \
    va_start(rest, flags); \
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
    va_end(rest); \
    int fd = real(path, flags, mode), error = errno; \
    opened(fd, path, flags); \
    errno = error; \
    return fd; \
  }
OPEN(open)
OPEN(open64)

int openat64(int at, const char *path, int flags, ...) {
  REAL(int, openat64, int, const char *, int, ...);
  va_list rest;
  va_start(rest, flags);
  int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
  va_end(rest);
  int fd = real(at, path, flags, mode), error = errno;
  if (at == AT_FDCWD || path[0] == '/') opened(fd, path, flags);
  errno = error;
  return fd;
}

int close(int fd) {
  REAL(int, close, int);
  if (fd >= 0 && fd < MOST_FDS) {
    pthread_mutex_lock(&lock);
    by_fd[fd] = NULL;
    folder_fd[fd] = 0;
    pthread_mutex_unlock(&lock);
  }
  return real(fd);
}

static struct file *tracked(int fd) { return fd >= 0 && fd < MOST_FDS ? by_fd[fd] : NULL; }

#define PWRITE(name) \
  ssize_t name(int fd, const void *bytes, size_t length, off_t offset) { \
    REAL(ssize_t, name, int, const void *, size_t, off_t); \
    if (!tracked(fd)) return real(fd, bytes, length, offset); \
    pthread_mutex_lock(&lock); \
    ssize_t done = real(fd, bytes, length, offset); \
    if (done > 0 && by_fd[fd]) add(by_fd[fd], offset, bytes, done); \
    pthread_mutex_unlock(&lock); \
    return done; \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(ssize_t, write, int, const void *, size_t);
  if (!tracked(fd)) return real(fd, bytes, length);
  pthread_mutex_lock(&lock);
  ssize_t done = real(fd, bytes, length);
  off_t end = lseek(fd, 0, SEEK_CUR);
  if (done > 0 && by_fd[fd]) add(by_fd[fd], end - done, bytes, done);
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  /* Only sockets use it here; a tracked file would go unnoticed. */
  if (tracked(fd)) abort();
  return real(fd, parts, count);
}

#define TRUNCATE(name) \
  int name(int fd, off_t length) { \
    REAL(int, name, int, off_t); \
    if (!tracked(fd)) return real(fd, length); \
    pthread_mutex_lock(&lock); \
    int done = real(fd, length); \
    if (!done && by_fd[fd]) add(by_fd[fd], length, NULL, 0); \
    pthread_mutex_unlock(&lock); \
    return done; \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

static void synced(int fd) {
  if (fd < 0 || fd >= MOST_FDS || (!by_fd[fd] && !folder_fd[fd])) return;
  pthread_mutex_lock(&lock);
  if (by_fd[fd]) sync_file(by_fd[fd]);
  if (folder_fd[fd]) sync_folders();
  pthread_mutex_unlock(&lock);
}

/* The simulated disk is the shadow, so a real sync is not needed. */
int fsync(int fd) {
  REAL(int, fsync, int);
  if (fd < 0 || fd >= MOST_FDS || (!by_fd[fd] && !folder_fd[fd])) return real(fd);
  synced(fd);
  return 0;
}

int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  if (!tracked(fd)) return real(fd);
  synced(fd);
  return 0;
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  char a[PATH_MAX], b[PATH_MAX];
  const char *old = enabled() ? relative(from, a) : NULL, *new = enabled() ? relative(to, b) : NULL;
  if (!old || !new) return real(from, to);
  pthread_mutex_lock(&lock);
  int done = real(from, to);
  if (!done) {
    find(new)->path[0] = 0;
    snprintf(find(old)->path, PATH_MAX, "%s", new);
    add_move(old, new);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  char buffer[PATH_MAX];
  const char *name = enabled() ? relative(path, buffer) : NULL;
  if (!name) return real(path);
  pthread_mutex_lock(&lock);
  int done = real(path);
  if (!done) {
    find(name)->path[0] = 0;
    add_move(name, "");
  }
  pthread_mutex_unlock(&lock);
  return done;
}
