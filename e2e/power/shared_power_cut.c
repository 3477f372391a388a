/*
 * A preloaded library like power_cut.c, for a program whose processes share files, such as PostgreSQL. One process does not
 * know what the others have written, so a sync copies the whole file from below POWER_DATA to the folder POWER_SHADOW.
 * Renames, links and removals reach the shadow at once. So the shadow may hold more than a disk has to keep after a power
 * cut, and never less.
 *
 * POWER_IGNORE names a part of the paths of files whose syncs do nothing: the simulated bug of a program that forgets to
 * sync them.
 *
 * cc -shared -fPIC -O1 -o shared_power_cut.so shared_power_cut.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 8192

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

/* The path in the shadow of a resolved path, or null for other files. */
static const char *in_shadow(const char *full, char *buffer) {
  size_t length = strlen(data);
  if (strncmp(full, data, length) || full[length] != '/') return NULL;
  int size = snprintf(buffer, PATH_MAX, "%s%s", shadow, full + length);
  return size < PATH_MAX ? buffer : NULL;
}

/* The same for a path whose last part need not exist. */
static const char *path_in_shadow(const char *path, char *buffer) {
  char folder[PATH_MAX], resolved[PATH_MAX * 2];
  const char *name = strrchr(path, '/');
  name = name ? name + 1 : path;
  snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
  if (!realpath(folder[0] ? folder : ".", resolved)) return NULL;
  size_t length = strlen(resolved);
  snprintf(resolved + length, sizeof resolved - length, "/%s", name);
  return in_shadow(resolved, buffer);
}

static void make_folders(char *full) {
  for (char *slash = full + strlen(shadow) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = 0;
    mkdir(full, 0700);
  }
}

/* Makes the file `to` equal to the open file `from`. Writes only what differs, so that a kill in between tears nothing else. */
static void copy(int from, int to) {
  char new[CHUNK], old[CHUNK];
  off_t at = 0;
  for (ssize_t length; (length = pread(from, new, CHUNK, at)) > 0; at += length) {
    if (pread(to, old, CHUNK, at) == length && !memcmp(new, old, length)) continue;
    if (pwrite(to, new, length, at) != length) abort();
  }
  if (ftruncate(to, at)) abort();
}

/* True if the simulated disk has taken over the sync. */
static int synced(int fd) {
  char link[64], full[PATH_MAX], target[PATH_MAX];
  if (!enabled()) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, full, sizeof full - 1);
  if (length <= 0) return 0;
  full[length] = 0;
  struct stat stat;
  if (!in_shadow(full, target) || fstat(fd, &stat)) return 0;
  if (!S_ISREG(stat.st_mode) || !stat.st_nlink || (ignored && strstr(full, ignored))) return 1;
  make_folders(target);
  int from = open(link, O_RDONLY | O_CLOEXEC), to = open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (from < 0 || to < 0 || flock(to, LOCK_EX)) abort();
  copy(from, to);
  close(from);
  close(to);
  return 1;
}

#define SYNC(name) \
  int name(int fd) { \
    REAL(int, name, int); \
    int error = errno; \
    int done = synced(fd); \
    errno = error; \
    return done ? 0 : real(fd); \
  }
SYNC(fsync)
SYNC(fdatasync)

#define MOVE(name) \
  int name(const char *from, const char *to) { \
    REAL(int, name, const char *, const char *); \
    int done = real(from, to), error = errno; \
    char a[PATH_MAX], b[PATH_MAX]; \
    if (!done && enabled() && path_in_shadow(from, a) && path_in_shadow(to, b)) real(a, b); \
    errno = error; \
    return done; \
  }
MOVE(rename)
MOVE(link)

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  int done = real(path), error = errno;
  char target[PATH_MAX];
  if (!done && enabled() && path_in_shadow(path, target)) real(target);
  errno = error;
  return done;
}
