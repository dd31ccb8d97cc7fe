# grpo.h needs no building: these targets build and run its examples and tests.
#
#   make run       train the main example from random weights (under half a minute)
#   make test      prove the header (needs a C compiler, nothing else)
#   make hello     the smallest program
#   make picture   the learning curve of the README, from a real run
#   make bench     how close each part comes to the machine's limits, and PyTorch beside it
#   make league    every preset, five seeds, two tasks: the table of the README (minutes)
#   make check     what .ci/run adds: every compiler and standard, sanitizers, valgrind

CC      ?= cc
CFLAGS  ?= -O3
TESTFLAGS ?= -O1
WARN     = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
BUILD    = build
HEADER   = grpo.h
EXAMPLES = 01_hello 02_unrolled 03_arithmetic 04_your_own_model 05_patience 06_ladder \
           07_ppo_vs_grpo 08_code 09_rubric
TESTS    = test_maths test_rewards test_exact test_files test_backend test_failures \
           test_double test_learning test_ppo test_interpreter test_models

all: $(EXAMPLES:%=$(BUILD)/%) $(BUILD)/bench $(BUILD)/league

run: $(BUILD)/03_arithmetic
	./$(BUILD)/03_arithmetic

hello: $(BUILD)/01_hello
	./$(BUILD)/01_hello

picture: $(BUILD)/03_arithmetic
	./$(BUILD)/03_arithmetic --svg examples/arithmetic.svg

test: $(TESTS:%=$(BUILD)/%) all
	@CC="$(CC)" BUILD="$(BUILD)" sh tests/run.sh $(TESTS)

bench: $(BUILD)/bench
	./$(BUILD)/bench

league: $(BUILD)/league
	./$(BUILD)/league

check: all
	sh tests/compilers.sh
	sh tests/sanitizers.sh

$(BUILD)/%: examples/%.c $(HEADER) examples/show.h examples/interpreter.h | $(BUILD)
	$(CC) $(CFLAGS) -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD)/%: bench/%.c $(HEADER) bench/steps.h | $(BUILD)
	$(CC) -O2 -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD)/%: tests/%.c $(HEADER) tests/check.h tests/golden.h examples/interpreter.h | $(BUILD)
	$(CC) $(TESTFLAGS) -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD):
	mkdir -p $(BUILD)

clean:
	rm -rf $(BUILD)

.PHONY: all run hello picture test bench league check clean
