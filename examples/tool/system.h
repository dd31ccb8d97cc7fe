/* system.h: what the examples ask of a system beyond ISO C, as POSIX and as Windows have it. Names
 * of files are UTF-8 on both. What Windows lacks is said where it is asked for: a verifier of one's
 * own, the picture on the terminal (verifier.h, screen.h). */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdint.h>
#include <windows.h>
#include <shellapi.h>
#elif defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>
#else
#include <time.h>
#endif
#if defined(__APPLE__)
#include <sys/types.h>
#include <sys/sysctl.h>
#endif

#if defined(_WIN32)
enum { SYSTEM_PATH = 2048 };        /* what is longer, or no UTF-8, becomes "": there is no such  */

static inline const wchar_t *system_wide(const char *path, wchar_t *wide) {
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, SYSTEM_PATH)) *wide = 0;
    return wide;
}

static inline FILE *system_open(const char *path, const char *mode) {
    wchar_t wide[SYSTEM_PATH], how[8];
    return _wfopen(system_wide(path, wide), system_wide(mode, how));
}

static inline int system_remove(const char *path) {
    wchar_t wide[SYSTEM_PATH];
    return _wremove(system_wide(path, wide));
}

/* 0, or -1 with errno: to now has what from had. */
static inline int system_replace(const char *from, const char *to) {
    wchar_t a[SYSTEM_PATH], b[SYSTEM_PATH];
    if (MoveFileExW(system_wide(from, a), system_wide(to, b), MOVEFILE_REPLACE_EXISTING)) return 0;
    errno = EACCES;
    return -1;
}

/* 0, or -1 with errno: there is such a folder now. */
static inline int system_make_folder(const char *path) {
    wchar_t wide[SYSTEM_PATH];
    return _wmkdir(system_wide(path, wide)) && errno != EEXIST ? -1 : 0;
}

static inline int system_exists(const char *path) {
    wchar_t wide[SYSTEM_PATH];
    if (GetFileAttributesW(system_wide(path, wide)) != INVALID_FILE_ATTRIBUTES) return 1;
    errno = ENOENT;
    return 0;
}

/* Is it there, and no regular file? Of pipes and devices Windows makes no names in folders. */
static inline int system_is_other(const char *path) {
    wchar_t wide[SYSTEM_PATH];
    DWORD found = GetFileAttributesW(system_wide(path, wide));
    return found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY);
}

static inline int system_identity(const char *path, BY_HANDLE_FILE_INFORMATION *found) {
    wchar_t wide[SYSTEM_PATH];
    HANDLE file = CreateFileW(system_wide(path, wide), 0, 7, NULL, OPEN_EXISTING,
                              FILE_FLAG_BACKUP_SEMANTICS, NULL);
    int good = file != INVALID_HANDLE_VALUE && GetFileInformationByHandle(file, found);
    if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
    return good;
}

/* Are these two names of one file or folder? */
static inline int system_is_same(const char *a, const char *b) {
    BY_HANDLE_FILE_INFORMATION at, bt;
    return system_identity(a, &at) && system_identity(b, &bt)
        && at.dwVolumeSerialNumber == bt.dwVolumeSerialNumber
        && at.nFileIndexHigh == bt.nFileIndexHigh && at.nFileIndexLow == bt.nFileIndexLow;
}

/* 0: there was a folder without anything in it, and it is gone. */
static inline int system_remove_folder(const char *path) {
    wchar_t wide[SYSTEM_PATH];
    return _wrmdir(system_wide(path, wide));
}

/* A name that is the same from every folder; NULL, if it cannot be had. */
static inline const char *system_absolute(const char *path, char *whole, size_t room) {
    wchar_t wide[SYSTEM_PATH], all[SYSTEM_PATH];
    if (!_wfullpath(all, system_wide(path, wide), SYSTEM_PATH)) return NULL;
    if (!WideCharToMultiByte(CP_UTF8, 0, all, -1, whole, (int)room, NULL, NULL)) return NULL;
    return whole;
}

static inline int system_is_absolute(const char *path) {
    return *path == '/' || *path == '\\' || (*path && path[1] == ':');
}

/* Bytes that may be written to a folder's file system; -1: unknown. */
static inline double system_room(const char *path) {
    wchar_t wide[SYSTEM_PATH];
    ULARGE_INTEGER left;
    return GetDiskFreeSpaceExW(system_wide(path, wide), &left, NULL, NULL) ? (double)left.QuadPart
                                                                           : -1;
}

/* A file that one process has at a time, and that is gone when that ends, whatever ends it: a
 * descriptor; -1 with errno: it cannot be made; -2: another has it, and which, if that is known. */
static inline int system_lock(const char *path, long *holder) {
    wchar_t wide[SYSTEM_PATH];
    HANDLE file = CreateFileW(system_wide(path, wide), GENERIC_READ | GENERIC_WRITE, 0, NULL,
                              OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    *holder = 0;
    if (file != INVALID_HANDLE_VALUE) return _open_osfhandle((intptr_t)file, 0);
    if (GetLastError() == ERROR_SHARING_VIOLATION) return -2;
    errno = EACCES;
    return -1;
}

static inline void system_unlock(const char *path, int lock) { (void)path; _close(lock); }

/* Signals as POSIX sets them, as far as Windows has any: closing the window is a hang-up. */
#define SIGHUP SIGBREAK
#define SA_RESTART 0
struct sigaction { void (*sa_handler)(int); int sa_flags; };
static inline int sigaction(int which, const struct sigaction *now, struct sigaction *before) {
    void (*old)(int) = signal(which, now ? now->sa_handler : SIG_IGN);
    if (old == SIG_ERR) return -1;
    if (!now) signal(which, old);   /* it was only asked for                                     */
    if (before) before->sa_handler = old;
    return 0;
}

static inline double system_seconds(void) { return (double)GetTickCount64() / 1e3; }
static inline double system_moved(int written) { (void)written; return -1; }
static inline void system_every(int milliseconds, void (*call)(int)) {
    (void)milliseconds;
    (void)call;
}

/* The program's arguments in UTF-8, instead of what main() was given; and so is what it prints. */
static inline void system_arguments(int *argc, char ***argv) {
    int n, i;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    char **words = wide ? (char **)calloc((size_t)n + 1, sizeof *words) : NULL;
    SetConsoleOutputCP(CP_UTF8);
    for (i = 0; words && i < n; i++) {
        int size = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        words[i] = (char *)malloc((size_t)size + 1);
        if (!words[i]) return;      /* what main() was given will have to do                     */
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, words[i], size, NULL, NULL);
    }
    LocalFree(wide);
    if (!words) return;
    *argc = n;
    *argv = words;
}

#elif defined(__unix__) || defined(__APPLE__)
static inline FILE *system_open(const char *path, const char *mode) { return fopen(path, mode); }
static inline int system_remove(const char *path) { return remove(path); }
static inline int system_replace(const char *from, const char *to) { return rename(from, to); }
static inline int system_make_folder(const char *path) {
    return mkdir(path, 0777) && errno != EEXIST ? -1 : 0;
}

static inline int system_exists(const char *path) {
    struct stat found;
    return stat(path, &found) == 0;
}

/* Is it there, and no regular file? */
static inline int system_is_other(const char *path) {
    struct stat found;
    return !stat(path, &found) && !S_ISREG(found.st_mode);
}

static inline int system_is_same(const char *a, const char *b) {
    struct stat at, bt;
    return !stat(a, &at) && !stat(b, &bt) && at.st_dev == bt.st_dev && at.st_ino == bt.st_ino;
}

/* Bytes that may be written to a folder's file system; -1: unknown, as where it counts none. */
static inline double system_room(const char *path) {
    struct statvfs found;
    if (statvfs(path, &found) || !found.f_blocks) return -1;
    return (double)found.f_bavail * (double)(found.f_frsize ? found.f_frsize : found.f_bsize);
}

static inline void system_arguments(int *argc, char ***argv) { (void)argc; (void)argv; }
static inline int system_is_absolute(const char *path) { return *path == '/'; }

/* Of some clock. */
static inline double system_seconds(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (double)now.tv_sec + 1e-6 * (double)now.tv_usec;
}

/* Bytes that this process has read, or written, since it began; -1: not known. May be called by a
 * signal's handler. */
static inline double system_moved(int written) {
    char text[256], *at;
    double bytes = 0;
    int file = open("/proc/self/io", O_RDONLY);
    ssize_t n = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    text[n > 0 ? n : 0] = 0;
    at = strstr(text, written ? "wchar: " : "rchar: ");
    if (!at) return -1;
    for (at += 7; *at >= '0' && *at <= '9'; at++) bytes = 10 * bytes + (*at - '0');
    return bytes;
}

/* 0: there was a folder without anything in it, and it is gone. */
static inline int system_remove_folder(const char *path) { return rmdir(path); }

#ifdef _GNU_SOURCE                  /* -std=c99 hides these                                      */
/* A name that is the same from every folder; NULL, if it cannot be had. */
static inline const char *system_absolute(const char *path, char *whole, size_t room) {
    char *real = realpath(path, NULL);
    const int fits = real && strlen(real) < room;
    if (fits) strcpy(whole, real);
    free(real);
    return fits ? whole : NULL;
}

/* The lock is the system's (fcntl); its file says nothing. A file system without locks is used
 * without. */
static inline int system_lock(const char *path, long *holder) {
    struct flock wanted;
    struct stat found;
    int file;
    *holder = 0;
    memset(&wanted, 0, sizeof wanted);
    wanted.l_type = F_WRLCK;
    wanted.l_whence = SEEK_SET;
    for (;;) {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0) return -1;
        if (fcntl(file, F_SETLK, &wanted) && (errno == EACCES || errno == EAGAIN)) break;
        if (fstat(file, &found) || found.st_nlink) return file;
        close(file);                /* removed by a run that has just ended: another file        */
    }
    if (!fcntl(file, F_GETLK, &wanted) && wanted.l_type != F_UNLCK) *holder = (long)wanted.l_pid;
    close(file);
    return -2;
}

static inline void system_unlock(const char *path, int lock) {
    remove(path);
    close(lock);
}

/* Calls it so often, whatever the program does meanwhile, by a signal; 0: no more. */
static inline void system_every(int milliseconds, void (*call)(int)) {
    struct sigaction action;
    struct itimerval timer;
    memset(&action, 0, sizeof action);
    memset(&timer, 0, sizeof timer);
    action.sa_handler = call;
    action.sa_flags = SA_RESTART;
    if (milliseconds) sigaction(SIGALRM, &action, NULL);      /* left there: one may be under way */
    timer.it_interval.tv_usec = timer.it_value.tv_usec = milliseconds * 1000;
    setitimer(ITIMER_REAL, &timer, NULL);
}
#endif

#else                               /* ISO C alone                                               */
static inline FILE *system_open(const char *path, const char *mode) { return fopen(path, mode); }
static inline int system_remove(const char *path) { return remove(path); }
static inline int system_replace(const char *from, const char *to) {
    remove(to);
    return rename(from, to);
}
static inline int system_make_folder(const char *path) { (void)path; return 0; }
static inline int system_remove_folder(const char *path) { return remove(path); }
static inline int system_is_other(const char *path) { (void)path; return 0; }
static inline double system_room(const char *path) { (void)path; return -1; }
static inline double system_seconds(void) { return (double)time(NULL); }
static inline double system_moved(int written) { (void)written; return -1; }
#endif

/* ---- the machine's memory, in bytes: all, and what is free or could be at once; 0: unknown */
#if defined(_WIN32)
static inline void system_memory(double *all, double *available) {
    MEMORYSTATUSEX m;
    m.dwLength = sizeof m;
    *all = *available = 0;
    if (!GlobalMemoryStatusEx(&m)) return;
    *all = (double)m.ullTotalPhys;
    *available = (double)m.ullAvailPhys;
}
#elif defined(__APPLE__)
static inline void system_memory(double *all, double *available) {
    /* pages that are empty, or copies of what is in files */
    static const char *const names[] = { "vm.page_free_count", "vm.page_speculative_count",
                                         "vm.page_purgeable_count",
                                         "vm.page_pageable_external_count" };
    unsigned long long bytes = 0;
    size_t size = sizeof bytes, i;
    *all = *available = 0;
    if (!sysctlbyname("hw.memsize", &bytes, &size, NULL, 0)) *all = (double)bytes;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        unsigned pages = 0;
        size = sizeof pages;
        if (!sysctlbyname(names[i], &pages, &size, NULL, 0))
            *available += (double)pages * (double)getpagesize();
    }
}
#else
/* The number behind a word that begins a line of a file ("": the first line); -1: there is none. */
static inline double system_number(const char *path, const char *word) {
    FILE *f = fopen(path, "r");
    char line[256];
    double number = -1;
    size_t n = strlen(word);
    while (f && number < 0 && fgets(line, sizeof line, f))
        if (!strncmp(line, word, n) && sscanf(line + n, "%lf", &number) != 1) number = -1;
    if (f) fclose(f);
    return number;
}

/* Linux; a container may have less than its machine (control groups, of both kinds). */
static inline void system_memory(double *all, double *available) {
    static const char *const groups[2][4] = {
        { "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
          "/sys/fs/cgroup/memory.stat", "inactive_file " },
        { "/sys/fs/cgroup/memory/memory.limit_in_bytes",
          "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat",
          "total_inactive_file " } };
    int i;
    *all = 1024 * system_number("/proc/meminfo", "MemTotal:");
    *available = 1024 * system_number("/proc/meminfo", "MemAvailable:");
    if (*all < 0 || *available < 0) *all = *available = 0;
    for (i = 0; i < 2; i++) {
        double most = system_number(groups[i][0], ""), used = system_number(groups[i][1], "");
        double files = system_number(groups[i][2], groups[i][3]);
        if (most <= 0 || used < 0 || most >= *all) continue;
        used -= files > 0 ? files : 0;                        /* which make room when asked      */
        *all = most;
        if (most - used < *available) *available = most > used ? most - used : 0;
    }
}
#endif
#endif
