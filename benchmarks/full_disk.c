/* Preloaded, refuses what needs room below a folder from a given call on, as a full disk does: see full_disk.py.

   Once a rename was refused, others are carried out: to take one back needs no room. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* What full_disk.py packs into the file that FULL_DISK names, which every process maps. */
static struct {
    long first; /* number of the first call that is refused, from 1; 0: none is even counted */
    long seen;
    char folder[PATH_MAX];
} *control;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("FULL_DISK"), O_RDWR);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
}

static int below(const char *path) {
    size_t length = strlen(control->folder);
    return !strncmp(path, control->folder, length) && path[length] == '/';
}

static int names(const char *path) {
    char here[PATH_MAX];
    if (!control->first) return 0;
    if (path[0] == '/' || !getcwd(here, sizeof here - 1)) return below(path);
    return below(strcat(here, "/"));
}

static int stands(int number) {
    char link[32], path[PATH_MAX] = "";
    if (!control->first) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    return readlink(link, path, sizeof path - 1) > 0 && below(path);
}

static int full(int counts, int once) {
    if (!counts) return 0;
    long now = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);
    if (now < control->first || (once && now > control->first)) return 0;
    errno = ENOSPC;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OF_FILE(type, name, declared, ...)                                                                             \
    type name declared {                                                                                               \
        return full(stands(file), 0) ? -1 : REAL(name)(__VA_ARGS__);                                                   \
    }

OF_FILE(ssize_t, write, (int file, const void *data, size_t size), file, data, size)
OF_FILE(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), file, data, size, at)
OF_FILE(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), file, data, size, at)
OF_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), file, parts, count)
OF_FILE(ssize_t, sendfile, (int file, int from, off_t *at, size_t size), file, from, at, size)
OF_FILE(ssize_t, sendfile64, (int file, int from, off64_t *at, size_t size), file, from, at, size)
OF_FILE(int, ftruncate, (int file, off_t size), file, size)
OF_FILE(int, ftruncate64, (int file, off64_t size), file, size)
OF_FILE(int, fsync, (int file), file)
OF_FILE(int, fdatasync, (int file), file)

int rename(const char *from, const char *to) { return full(names(to), 1) ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) {
    return full(names(path) && access(path, F_OK), 0) ? -1 : REAL(mkdir)(path, mode);
}

/* Only what makes a file: an old one is opened, and emptied, on a full disk too. */
#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        return full(flags & O_CREAT && names(path) && access(path, F_OK), 0) ? -1 : REAL(name)(path, flags, mode);     \
    }
OPEN(open)
OPEN(open64)
