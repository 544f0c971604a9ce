/* Makes system calls and allocations of a process fail, one at a time: to be preloaded.

   Counted are the calls that change what is under one folder, or the allocations of at least
   some size, of everybody or of C++ alone. The n-th of them fails, with an error, with half of its bytes, or with the death of
   the process; once, or with all that follow. All calls that change the folder can be recorded,
   with their data, so that a power cut can be simulated. See faults.py.

   A call is counted only while `faults_arm` or `faults_arm_memory` has been called; the
   originals come from dlsym, and those of malloc from glibc's own names, since dlsym allocates. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAIL, KILL_BEFORE, KILL_AFTER, SHORT_KILL, SHORT_ONCE };

static char folder[512];
static long at, counted, smallest;
static int mode, code, for_good, recorder = -1, memory, paused;

void faults_arm(const char *path, long n, int how, int error, int sticky, int record) {
    snprintf(folder, sizeof folder, "%s", path);
    at = n, mode = how, code = error, for_good = sticky, recorder = record;
    counted = 0, memory = 0;
}

/* Where the code of libstdc++ and of the C++ core is: operator new calls malloc from there. */
static struct { ElfW(Addr) from, to; } cpp[64];
static int cpp_count, cpp_only;

static int add_cpp(struct dl_phdr_info *info, size_t size, void *nothing) {
    (void)size, (void)nothing;
    if (!strstr(info->dlpi_name, "libstdc++") && !strstr(info->dlpi_name, "/_native.")) return 0;
    for (int i = 0; i < info->dlpi_phnum && cpp_count < 64; ++i) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        cpp[cpp_count].from = info->dlpi_addr + part->p_vaddr;
        cpp[cpp_count].to = cpp[cpp_count].from + part->p_memsz;
        ++cpp_count;
    }
    return 0;
}

void faults_arm_memory(long size, long n, int sticky, int only_cpp) {
    cpp_count = 0;
    if (only_cpp) dl_iterate_phdr(add_cpp, NULL);
    smallest = size, at = n, for_good = sticky, counted = 0, memory = 1, folder[0] = 0;
    cpp_only = only_cpp;
}

static int is_cpp(void *caller) {
    for (int i = 0; i < cpp_count; ++i)
        if ((ElfW(Addr))caller >= cpp[i].from && (ElfW(Addr))caller < cpp[i].to) return 1;
    return 0;
}

void faults_pause(int yes) { paused = yes; }

long faults_counted(void) { return counted; }

static int due(void) {
    long n = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    return at > 0 && (for_good ? n >= at : n == at);
}

#define ORIGINAL(result, name, ...)                       \
    static result (*original)(__VA_ARGS__);               \
    if (!original) original = dlsym(RTLD_NEXT, name)

static int under(const char *path) {
    size_t size = strlen(folder);
    return size && path && !strncmp(path, folder, size) && (!path[size] || path[size] == '/');
}

static int path_of(int file, char *path, size_t size) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return under(path);
}

/* A line of the record: what was done, to which inode or path, and how many bytes follow. */
static void record(const char *what, unsigned long inode, const char *path, const char *other,
                   long offset, const void *data, size_t size) {
    ORIGINAL(ssize_t, "write", int, const void *, size_t);
    if (recorder < 0) return;
    char line[1400];
    int length = snprintf(line, sizeof line, "%s\t%lu\t%s\t%s\t%ld\t%zu\n", what, inode, path,
                          other, offset, size);
    original(recorder, line, length);
    for (size_t done = 0; done < size;) {
        ssize_t n = original(recorder, (const char *)data + done, size - done);
        if (n <= 0) break;
        done += n;
    }
}

static unsigned long inode_of(int file) {
    struct stat status;
    return fstat(file, &status) ? 0 : status.st_ino;
}

/* Runs `call`, unless it is the one to fail; `record` is of what really happened. */
#define GUARDED(call, recorded)                                   \
    do {                                                          \
        if (due()) {                                              \
            if (mode == FAIL) return errno = code, -1;            \
            if (mode == KILL_AFTER) (void)(call);                 \
            kill(getpid(), SIGKILL);                              \
        }                                                         \
        __typeof__(call) result = (call);                         \
        if (result >= 0) { recorded; }                            \
        return result;                                            \
    } while (0)

ssize_t write(int file, const void *data, size_t size) {
    ORIGINAL(ssize_t, "write", int, const void *, size_t);
    char path[512];
    if (!folder[0] || file == recorder || !path_of(file, path, sizeof path))
        return original(file, data, size);
    if (due()) {
        if (mode == FAIL) return errno = code, -1;
        if (mode == SHORT_KILL || mode == SHORT_ONCE) size = size > 1 ? size / 2 : size;
        if (mode == SHORT_KILL || mode == KILL_AFTER) (void)original(file, data, size);
        if (mode != SHORT_ONCE) kill(getpid(), SIGKILL);
    }
    ssize_t result = original(file, data, size);
    if (result > 0) {
        int appends = fcntl(file, F_GETFL) & O_APPEND;
        long end = appends ? lseek(file, 0, SEEK_END) : lseek(file, 0, SEEK_CUR);
        record("write", inode_of(file), path, "", end - result, data, result);
    }
    return result;
}

int fsync(int file) {
    ORIGINAL(int, "fsync", int);
    char path[512];
    if (!folder[0] || !path_of(file, path, sizeof path)) return original(file);
    GUARDED(original(file), record("sync", inode_of(file), path, "", 0, 0, 0));
}

int ftruncate64(int file, off64_t size) {
    ORIGINAL(int, "ftruncate64", int, off64_t);
    char path[512];
    if (!folder[0] || !path_of(file, path, sizeof path)) return original(file, size);
    GUARDED(original(file, size), record("cut", inode_of(file), path, "", size, 0, 0));
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int flock(int file, int how) {
    ORIGINAL(int, "flock", int, int);
    char path[512];
    if (!folder[0] || !path_of(file, path, sizeof path)) return original(file, how);
    GUARDED(original(file, how), (void)0);
}

int rename(const char *from, const char *to) {
    ORIGINAL(int, "rename", const char *, const char *);
    if (!under(to)) return original(from, to);
    GUARDED(original(from, to), record("rename", 0, from, to, 0, 0, 0));
}

int unlink(const char *path) {
    ORIGINAL(int, "unlink", const char *);
    if (!under(path)) return original(path);
    GUARDED(original(path), record("unlink", 0, path, "", 0, 0, 0));
}

int rmdir(const char *path) {
    ORIGINAL(int, "rmdir", const char *);
    if (!under(path)) return original(path);
    GUARDED(original(path), record("unlink", 0, path, "", 0, 0, 0));
}

int mkdir(const char *path, mode_t access) {
    ORIGINAL(int, "mkdir", const char *, mode_t);
    if (!under(path)) return original(path, access);
    GUARDED(original(path, access), record("mkdir", 0, path, "", 0, 0, 0));
}

int open64(const char *path, int flags, ...) {
    ORIGINAL(int, "open64", const char *, int, ...);
    mode_t rights = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        rights = va_arg(rest, mode_t);
        va_end(rest);
    }
    if ((flags & O_ACCMODE) == O_RDONLY || !under(path)) return original(path, flags, rights);
    int is_new = access(path, F_OK) != 0;
    GUARDED(original(path, flags, rights),
            if (is_new) record("create", inode_of(result), path, "", 0, 0, 0));
}

int open(const char *path, int flags, ...) {
    mode_t rights = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        rights = va_arg(rest, mode_t);
        va_end(rest);
    }
    return open64(path, flags, rights);
}

/* Allocations. */

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static int refused(size_t size, void *caller) {
    return memory && !paused && size >= (size_t)smallest && (!cpp_only || is_cpp(caller)) && due();
}
#define CALLER __builtin_return_address(0)
#define NOTHING (errno = ENOMEM, NULL)

void *malloc(size_t size) { return refused(size, CALLER) ? NOTHING : __libc_malloc(size); }
void *calloc(size_t count, size_t size) {
    return refused(count * size, CALLER) ? NOTHING : __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    return refused(size, CALLER) ? NOTHING : __libc_realloc(old, size);
}
void *memalign(size_t to, size_t size) {
    return refused(size, CALLER) ? NOTHING : __libc_memalign(to, size);
}
void *aligned_alloc(size_t to, size_t size) {
    return refused(size, CALLER) ? NOTHING : __libc_memalign(to, size);
}
int posix_memalign(void **found, size_t to, size_t size) {
    void *given = refused(size, CALLER) ? NULL : __libc_memalign(to, size);
    return given ? (*found = given, 0) : ENOMEM;
}

void *mmap64(void *address, size_t size, int access, int flags, int file, off64_t offset) {
    ORIGINAL(void *, "mmap64", void *, size_t, int, int, int, off64_t);
    if (file >= 0 && refused(size < (size_t)smallest ? (size_t)smallest : size, NULL))
        return errno = ENOMEM, MAP_FAILED;
    return original(address, size, access, flags, file, offset);
}
void *mmap(void *address, size_t size, int access, int flags, int file, off_t offset) {
    return mmap64(address, size, access, flags, file, offset);
}
