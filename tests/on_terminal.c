/* on_terminal ROWS COLUMNS [-c | -t LINE] COMMAND...: runs it on a terminal of that size and copies
 * what it writes. Whatever it draws over itself must stay within the screen, one line to a row, and
 * when it has ended the terminal must be as it was; else a sentence and status 1. -c types Ctrl-C
 * once the first picture stands: that is then what it ends by. -t types LINE at the prompt "> ",
 * Ctrl-C at the first letter of the answer, and again at the next prompt. */
#define _XOPEN_SOURCE 700           /* posix_openpt */
#define _DEFAULT_SOURCE             /* TIOCSWINSZ */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

typedef struct terminal {
    int rows, columns, row, column; /* row: counted from the program's start, however it scrolls */
    int drawing, from, to, pictures;                          /* rows of the last picture        */
    int hidden, broken;             /* the cursor; lines are broken at the last column           */
    const char *wrong, *line;       /* what is typed at the prompt; NULL: nothing                */
    int typed;                      /* of a talk: the line, its end, Ctrl-C, Ctrl-C              */
    char last;                      /* byte                                                      */
    char escape[16];
    size_t escape_length;
} terminal;

static void require(terminal *t, int holds, const char *what) {
    if (!holds && !t->wrong) t->wrong = what;
}

/* "[2A" and so on, complete. */
static void obey(terminal *t, const char *s) {
    if (!strcmp(s, "[?25l")) { t->hidden = t->drawing = 1; t->from = t->row; }
    else if (!strcmp(s, "[?25h")) { t->hidden = t->drawing = 0; t->to = t->row; t->pictures++; }
    else if (!strcmp(s, "[?7l")) t->broken = 0;
    else if (!strcmp(s, "[?7h")) t->broken = 1;
    else if (s[strlen(s) - 1] == 'A') {
        t->row -= atoi(s + 1);
        require(t, t->drawing && t->to == t->from, "it goes up from elsewhere than a picture");
        require(t, t->from - t->row < t->rows, "it goes up beyond the top of the screen");
        t->from = t->row;
    } else require(t, strchr("KJm", s[strlen(s) - 1]) != NULL, "an escape nobody expects");
}

static void feed(terminal *t, unsigned char c) {
    if (t->escape_length) {
        t->escape[t->escape_length++ - 1] = (char)c;
        if (c != '[' && (c < '0' || c > '?')) {
            t->escape[t->escape_length - 1] = 0;
            t->escape_length = 0;
            obey(t, t->escape);
        } else require(t, t->escape_length < sizeof t->escape - 1, "an escape without an end");
        if (t->escape_length >= sizeof t->escape - 1) t->escape_length = 1;
    } else if (c == 27) t->escape_length = 1;
    else if (c == '\r') t->column = 0;
    else if (c == '\n') t->row++;
    else if (c >= 0x20 && (c & 0xc0) != 0x80) {
        t->column += c >= 0xe3 ? 2 : 1;     /* from U+3000 on: two columns                       */
        require(t, !t->drawing || t->column < t->columns, "a line of a picture is too long");
    }
    require(t, !t->drawing || t->row - t->from < t->rows, "a picture higher than the screen");
}

/* A talk, byte by byte: whatever is to be typed now. */
static const char *talk(terminal *t, char c) {
    const int prompt = t->last == '>' && c == ' ';
    t->last = c;
    if (t->typed == 0 && prompt) return t->typed = 1, t->line;
    if (t->typed == 1 && c == '\n') t->typed = 2;
    else if (t->typed == 2 || (t->typed == 3 && prompt)) return t->typed++, "\003";
    return "";
}

static int open_terminal(const terminal *t, struct termios *before) {
    struct winsize size;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    memset(&size, 0, sizeof size);
    size.ws_row = (unsigned short)t->rows;
    size.ws_col = (unsigned short)t->columns;
    if (master < 0 || grantpt(master) || unlockpt(master) || tcgetattr(master, before)
        || ioctl(master, TIOCSWINSZ, &size)) return -1;
    before->c_lflag |= NOFLSH;      /* Ctrl-C drops nothing of what has been written             */
    tcsetattr(master, TCSANOW, before);
    return master;
}

/* Its own session, whose terminal this is. */
static void become(int master, char **command) {
    int slave;
    setsid();
    slave = open(ptsname(master), O_RDWR);
    ioctl(slave, TIOCSCTTY, 0);
    if (slave < 0 || dup2(slave, 0) < 0 || dup2(slave, 1) < 0 || dup2(slave, 2) < 0) _exit(126);
    close(master);
    if (slave > 2) close(slave);
    signal(SIGINT, SIG_DFL);        /* a shell lets what it runs in the background ignore it      */
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    execv(command[0], command);
    _exit(127);
}

int main(int argc, char **argv) {
    struct termios before, after;
    terminal t;
    int interrupt = argc > 4 && !strcmp(argv[3], "-c"), status = 1, master, slave;
    int typed = interrupt, talks = argc > 5 && !strcmp(argv[3], "-t");
    char bytes[4096], line[256];
    const char *next;
    ssize_t n, i;
    pid_t child;
    memset(&t, 0, sizeof t);
    if (argc < 4) return 2;
    t.rows = atoi(argv[1]);
    t.columns = atoi(argv[2]);
    t.broken = 1;
    snprintf(line, sizeof line, "%s\n", talks ? argv[4] : "");
    t.line = line;
    master = open_terminal(&t, &before);
    if (master < 0) { printf("skipped: no pseudo-terminal here\n"); return 0; }
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);         /* so that its state can be asked  */
    child = fork();
    if (child == 0) become(master, argv + 3 + interrupt + 2 * talks);
    close(slave);
    while ((n = read(master, bytes, sizeof bytes)) > 0) {
        fwrite(bytes, 1, (size_t)n, stdout);
        for (i = 0; i < n; i++) {
            feed(&t, (unsigned char)bytes[i]);
            next = talks ? talk(&t, bytes[i]) : "";
            if (write(master, next, strlen(next)) < 0) return 2;
        }
        if (interrupt && t.pictures && write(master, "\003", 1) == 1) interrupt = 0;
    }
    waitpid(child, &status, 0);
    require(&t, !t.hidden && t.broken && !t.escape_length, "the terminal is not restored");
    require(&t, !tcgetattr(master, &after) && before.c_iflag == after.c_iflag
                && before.c_oflag == after.c_oflag && before.c_lflag == after.c_lflag,
            "the terminal's modes are others");
    if (typed) status = !WIFSIGNALED(status) || WTERMSIG(status) != SIGINT;
    require(&t, !talks || t.typed == 4, "the talk was another");
    require(&t, !typed || !status, "it has not ended by Ctrl-C");
    printf("\n%d pictures; %s\n", t.pictures, t.wrong ? t.wrong : "all as it should be");
    return t.wrong || status ? 1 : 0;
}
