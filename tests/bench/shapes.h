/* shapes.h: the products and attentions that cuda.c measures and cuda_model.c expects. */
#ifndef SHAPES_H
#define SHAPES_H

static const int product_shapes[][3] = {      /* m, n, k: rows, out, in                          */
    { 4096, 4096, 4096 }, { 8192, 1152, 896 }, { 8192, 896, 896 }, { 8192, 9728, 896 },
    { 8192, 896, 4864 }, { 2048, 151936, 896 }, { 8192, 4096, 1024 }, { 8192, 1024, 2048 },
    { 8192, 6144, 1024 }, { 8192, 1024, 3072 }, { 8192, 3072, 576 }, { 8192, 576, 1536 },
    { 64, 9728, 896 }, { 64, 896, 4864 }, { 1, 9728, 896 } };
static const int attention_shapes[][5] = {    /* prompts, their length, heads, heads of k, d     */
    { 16, 1024, 16, 16, 64 }, { 16, 1024, 16, 16, 128 }, { 16, 1024, 14, 2, 64 },
    { 16, 1024, 16, 8, 128 }, { 64, 320, 14, 2, 64 }, { 4, 4096, 16, 16, 128 } };
enum { PRODUCT_SHAPES = sizeof product_shapes / sizeof *product_shapes,
       ATTENTION_SHAPES = sizeof attention_shapes / sizeof *attention_shapes };

#endif
