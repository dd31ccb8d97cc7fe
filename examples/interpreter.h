/* interpreter.h: a stack machine that may be handed any text at all.
 *
 *   0 ... 9   push the digit            d   double the top: a becomes a a
 *   x y       push an input             s   swap the two topmost
 *   + - *     pop b, pop a, push a op b
 *   ( ... )   pop n, do what is inside n times (not at all if n < 1)
 *
 * The result is the one number that is left. "x3*y2*-5+" is 3x - 2y + 5; "1x(2*)" is 2 to the x.
 *
 * A program that a policy has written must be expected to do anything, so everything has a bound:
 * the steps, the stack, the nesting of loops, and the numbers, so that no product overflows an int.
 * Whatever breaks a rule ends the run with an error; nothing is read or written out of bounds. */
#ifndef INTERPRETER_H
#define INTERPRETER_H

enum { RUN_MOST_STEPS = 256, RUN_MOST_NUMBERS = 16, RUN_MOST_LOOPS = 4, RUN_LARGEST = 30000 };

enum { RUN_OK, RUN_UNKNOWN, RUN_TOO_FEW, RUN_TOO_MANY, RUN_TOO_LARGE, RUN_TOO_LONG, RUN_BAD_LOOP,
       RUN_NOT_ONE };

typedef struct run_loop { const char *body; int left; } run_loop;

typedef struct run_machine {
    const char *at;                 /* the next instruction                                      */
    int x, y, error;
    int stack[RUN_MOST_NUMBERS], num_numbers;
    run_loop loops[RUN_MOST_LOOPS];
    int num_loops;
} run_machine;

/* An error in words. */
static const char *run_error(int error) {
    static const char *const words[] = {
        "ok", "unknown instruction", "too few numbers", "too many numbers", "number too large",
        "too many steps", "bad loop", "not one result"
    };
    return words[error];
}

static void run_push(run_machine *m, int value) {
    if (value > RUN_LARGEST || value < -RUN_LARGEST) m->error = RUN_TOO_LARGE;
    else if (m->num_numbers == RUN_MOST_NUMBERS) m->error = RUN_TOO_MANY;
    else m->stack[m->num_numbers++] = value;
}

static int run_pop(run_machine *m) {
    if (m->num_numbers > 0) return m->stack[--m->num_numbers];
    m->error = RUN_TOO_FEW;
    return 0;
}

/* + - * d s: all that take numbers from the stack and put numbers back. */
static void run_operation(run_machine *m, char c) {
    int b = run_pop(m), a = c == 'd' ? b : run_pop(m);
    if (m->error) return;
    if (c == '+') run_push(m, a + b);
    if (c == '-') run_push(m, a - b);
    if (c == '*') run_push(m, a * b);
    if (c == 'd' || c == 's') { run_push(m, b); run_push(m, a); }
}

/* Past the ")" that closes the loop whose body begins here. */
static void run_skip(run_machine *m) {
    int depth = 1;
    for (; *m->at && depth > 0; m->at++) depth += (*m->at == '(') - (*m->at == ')');
    if (depth > 0) m->error = RUN_BAD_LOOP;
}

static void run_open(run_machine *m) {
    int times = run_pop(m);
    if (m->error) return;
    if (times < 1) { run_skip(m); return; }
    if (m->num_loops == RUN_MOST_LOOPS) { m->error = RUN_BAD_LOOP; return; }
    m->loops[m->num_loops].body = m->at;
    m->loops[m->num_loops++].left = times;
}

static void run_close(run_machine *m) {
    run_loop *loop;
    if (m->num_loops == 0) { m->error = RUN_BAD_LOOP; return; }
    loop = &m->loops[m->num_loops - 1];
    if (--loop->left > 0) m->at = loop->body;
    else m->num_loops--;
}

static void run_instruction(run_machine *m) {
    char c = *m->at++;
    if (c >= '0' && c <= '9') run_push(m, c - '0');
    else if (c == 'x') run_push(m, m->x);
    else if (c == 'y') run_push(m, m->y);
    else if (c == '(') run_open(m);
    else if (c == ')') run_close(m);
    else if (c == '+' || c == '-' || c == '*' || c == 'd' || c == 's') run_operation(m, c);
    else m->error = RUN_UNKNOWN;
}

/* Run a program on two inputs. Returns RUN_OK and sets *result, or says what went wrong. */
static int run_program(const char *program, int x, int y, int *result) {
    run_machine m = { program, x, y, RUN_OK, { 0 }, 0, { { 0, 0 } }, 0 };
    int steps = 0;
    while (*m.at && !m.error) {
        if (steps++ == RUN_MOST_STEPS) return RUN_TOO_LONG;
        run_instruction(&m);
    }
    if (m.error) return m.error;
    if (m.num_loops > 0) return RUN_BAD_LOOP;
    if (m.num_numbers != 1) return RUN_NOT_ONE;
    *result = m.stack[0];
    return RUN_OK;
}

#endif
